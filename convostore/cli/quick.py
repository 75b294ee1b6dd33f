"""The quick way: what the reading commands show, without the event loop and the database layer.

Two steps, and each may step back. `newest` and `path` read a store by `storage/fastread.py`, and
return None where only the full way can tell. `run` does the usual forms of `list`, `show` and
`path` without click, which takes longer to load than all the rest; whatever is not one of these
forms is left to click, which knows them all.
"""

from __future__ import annotations

import os
import sys

from convostore import plainconfig
from convostore.cli import again

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.fastread import Conversation, Message
    from convostore.storage.fastsearch import Page

DEFAULT_COUNT = 20  # conversations that `list` shows; a screenful
_MOST_DIGITS = 6  # of a count
_MOST_OWNER = 255  # characters, as `text.MOST_OWNER`

# What each command takes: an option's name, and whether it has a value. A test holds it equal to
# what click is told.
STORE_OPTIONS = {"--db": True, "--owner": True}
OPTIONS = {
    "list": {"-n": True, "--json": False},
    "show": {"--json": False, "--secrets": False, "-r": False},
    "search": {
        "-n": True,
        "--json": False,
        "--cursor": True,
        "--newest": False,
        "--all-branches": False,
        "--reasoning": False,
    },
    "path": {},
}
MOST_HITS = 200  # in one page of a search


def newest(db: str | None, owner: str | None, count: int) -> list[Conversation] | None:
    """Return the *count* first conversations of the list; None where the full way has to look.

    Args:
        db: the store, as typed; None is the configured one.
        owner: as typed; None is the configured one.
        count: 1 or more.
    """
    place = _place(db, owner)
    if place is None:
        return None
    from convostore.storage import fastread

    return fastread.newest(*place, count)


def offered(
    db: str | None, owner: str | None, shelf: str, beginning: str, count: int
) -> list[Conversation] | None:
    """Return conversations whose handles begin so; None where only the full way can look.

    Args:
        db: the store, as typed; None is the configured one.
        owner: as typed; None is the configured one.
        shelf: "list", "archive" or "bin".
        beginning: of the handle; empty is any.
        count: how many of the newest are looked through; of the list, some others are, too.
    """
    place = _place(db, owner)
    if place is None:
        return None
    from convostore.storage import fastread

    return fastread.newest(*place, count, shelf=shelf, beginning=beginning)


def path(
    db: str | None, owner: str | None, ref: str
) -> tuple[Conversation, list[Message], str | None] | None:
    """Return a conversation, its path and its remote id; None where the full way has to look.

    Args:
        db: the store, as typed; None is the configured one.
        owner: as typed; None is the configured one.
        ref: as typed.
    """
    place = _place(db, owner)
    if place is None or not ref.isprintable():
        return None
    from convostore.storage import fastread

    return fastread.path(*place, ref)


def search(
    db: str | None, owner: str | None, typed: str, count: int, wish: dict[str, bool]
) -> Page | None:
    """Return the first page of what fits; None where the full way has to look, or look further.

    Args:
        db: the store, as typed; None is the configured one.
        owner: as typed; None is the configured one.
        typed: the query.
        count: 1 to MOST_HITS.
        wish: `newest_first`, `all_branches` and `reasoning`.
    """
    place = _place(db, owner)
    if place is None or not typed.isprintable():
        return None
    from convostore import clock
    from convostore.storage import fastsearch

    file, owner = place
    page = fastsearch.find_page(
        file,
        owner,
        typed,
        clock.now_ms(),
        limit=count,
        newest_first=wish["newest_first"],
        all_branches=wish["all_branches"],
        reasoning=wish["reasoning"],
    )
    whole = page is None or page.next_cursor is None or len(page.items) == count
    return page if whole else None


def _place(db: str | None, owner: str | None) -> tuple[str, str | None] | None:
    configured = plainconfig.read(os.environ)
    if configured is None:
        return None
    owner = configured[1] if owner is None else owner
    if owner is not None and not _is_plain_name(owner):
        return None
    file = plainconfig.file_of(db or configured[0])
    return None if file is None else (file, owner)


def _is_plain_name(owner: str) -> bool:
    """Tell whether an owner may be called so; what `text.gate_owner` refuses is not plain."""
    return bool(owner.strip()) and owner.isprintable() and len(owner) <= _MOST_OWNER


def run(words: Sequence[str]) -> bool:
    """Do what is typed, if it is one of the usual forms; tell whether it is done.

    Nothing is printed unless it is.

    Raises:
        MessageNotFoundError: `show -r` of a conversation without an answer.
        OSError: stdout takes no more.
    """
    typed = read(words)
    if typed is None or any(name.startswith("_CONVOSTORE_") for name in os.environ):
        return False
    command, refs, options = typed
    db, owner = options.get("--db"), options.get("--owner")
    if command == "path":
        return _run_path(db)
    if command == "search":
        return _run_search(db, owner, " ".join(refs), options)
    from convostore.cli import page

    as_json = "--json" in options
    if command == "list":
        count = int(options.get("-n", DEFAULT_COUNT))
        found = newest(db, owner, count + 1)
        if found:
            page.print_list(found, as_json=as_json, count=count)
        return bool(found)
    shown = path(db, owner, refs[0])
    if shown is None:
        return False
    page.print_shown(
        *shown,
        as_json=as_json,
        secrets="--secrets" in options,
        reply_only="-r" in options,
        command=lambda *words: again.command(db, owner, *words),
    )
    return True


def _run_search(db: str | None, owner: str | None, typed: str, options: dict[str, str]) -> bool:
    count = int(options.get("-n", DEFAULT_COUNT))
    wish = {
        "newest_first": "--newest" in options,
        "all_branches": "--all-branches" in options,
        "reasoning": "--reasoning" in options,
    }
    found = search(db, owner, typed, count, wish)
    if found is None:
        return False
    from convostore.cli import found as printing

    printing.print_page(
        found,
        as_json="--json" in options,
        count=count,
        most=MOST_HITS,
        all_branches=wish["all_branches"],
        command=lambda *words: again.command(db, owner, *words),
    )
    return True


def _run_path(db: str | None) -> bool:
    url = db
    if url is None:
        configured = plainconfig.read(os.environ)
        if configured is None:
            return False
        url, _ = configured
    sys.stdout.write(plainconfig.location(url) + "\n")
    return True


def read(words: Sequence[str]) -> tuple[str, list[str], dict[str, str]] | None:
    """Return the command, its arguments and its options with their values, as click would.

    None where only click can tell: another command, a word that may mean something else, a value
    out of range, options that exclude each other.
    """
    if not all(map(str.isprintable, words)):
        return None
    command, arguments, options = "", [], {}
    left = list(reversed(words))
    while left:
        word = left.pop()
        if not word.startswith("-"):
            if command:
                arguments.append(word)
                continue
            command = word
            if command not in OPTIONS:
                return None
            continue
        name, value = _option(word, left, STORE_OPTIONS | OPTIONS.get(command, {}))
        if value is None or name in options:
            return None
        options[name] = value
    return (command, arguments, options) if _is_usual(command, arguments, options) else None


def _option(word: str, left: list[str], known: dict[str, bool]) -> tuple[str, str | None]:
    """Return an option's name and value, taken from *left* if it needs one; None is a doubt."""
    name, joined, value = word.partition("=")
    if joined and name.startswith("--") and known.get(name):
        return name, value or None
    if joined or word not in known:
        return word, None
    if not known[word]:
        return word, "on"
    value = left.pop() if left else ""
    return word, None if not value or value.startswith("-") else value


def _is_usual(command: str, arguments: list[str], options: dict[str, str]) -> bool:
    count = options.get("-n", "1")
    if not (count.isascii() and count.isdecimal() and len(count) <= _MOST_DIGITS and int(count)):
        return False
    if command == "list":
        return not arguments
    if command == "search":
        wanted = " ".join(arguments).strip()
        return bool(wanted) and int(count) <= MOST_HITS and "--cursor" not in options
    if command == "show":
        alone = not {"--json", "--secrets"} & set(options)
        return len(arguments) == 1 and bool(arguments[0]) and ("-r" not in options or alone)
    return command == "path" and not arguments
