"""The options that say which conversations are meant."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

import click

from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convostore.arranging import FilterWords

_TEXTS = ("title", "provider", "model", "folder", "key_prefix")
_NAMES: Final = (
    *_TEXTS,
    *("tag", "no_folder", "since", "until", "interrupted", "pinned", "archived", "everything"),
)
_TIMES = "2026-11-25, 2026-11, today, 12h, 7d, 2w"

_OPTIONS = (
    click.option("--title", metavar="TEXT", help="This text is in the title."),
    click.option("--provider", metavar="NAME", help="This provider answers next."),
    click.option("--model", metavar="NAME", help="This model answers next."),
    click.option("--tag", metavar="NAME", multiple=True, help="It has this tag; may be repeated."),
    click.option("--folder", metavar="NAME", help="It is in this folder."),
    click.option("--no-folder", is_flag=True, help="It is in no folder."),
    click.option("--key", "key_prefix", metavar="PREFIX", help="Its key begins so: telegram:"),
    click.option("--since", metavar="WHEN", help="The newest activity was then or later."),
    click.option("--until", metavar="WHEN", help="The newest activity was before then."),
    click.option("--interrupted", is_flag=True, help="It has an answer whose writer died."),
    click.option("--pinned/--not-pinned", default=None, help="It is pinned, or is not."),
    click.option("--archived", is_flag=True, help="The archive alone."),
    click.option("--all", "everything", is_flag=True, help="The archive too."),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a filter; it gets what was typed as `words`."""

    @wraps(command)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        typed = {name: kwargs.pop(name) for name in _NAMES}
        return command(*args, words=_words(typed), **kwargs)

    for option in reversed(_OPTIONS):
        filtered = option(filtered)
    return filtered


def _words(typed: dict[str, Any]) -> FilterWords:
    """Return the words of a filter: those alone that were typed.

    Raises:
        UsageError: an option is empty, names no time, or goes against another one.
    """
    _check(typed)
    words: dict[str, Any] = {name: typed[name] for name in _TEXTS if typed[name] is not None}
    words |= {name: typed[name] for name in ("tag", "interrupted") if typed[name]}
    for name in ("since", "until"):
        if (at_ms := typed_time(typed[name], name)) is not None:
            words[f"{name}_ms"] = at_ms
    if typed["no_folder"]:
        words["folder"] = ""
    if typed["pinned"] is not None:
        words["pinned"] = typed["pinned"]
    if typed["archived"] or typed["everything"]:
        words["archived"] = True if typed["archived"] else None
    return cast("FilterWords", words)


def _check(typed: dict[str, Any]) -> None:
    typed_words(typed, _TEXTS)
    for one, other, spelling in (
        ("folder", "no_folder", "--folder and --no-folder"),
        ("archived", "everything", "--archived and --all"),
    ):
        if typed[one] and typed[other]:
            raise UsageError(f"{spelling} go against each other", hint="leave one of them out")


def typed_words(typed: Mapping[str, str | None], names: Sequence[str]) -> None:
    """Refuse options that were typed without saying anything.

    Raises:
        UsageError: one is empty.
    """
    for name in names:
        text = typed[name]
        if text is not None and not text.strip():
            hint = "for those in no folder: --no-folder" if name == "folder" else "leave it out"
            raise UsageError(f"--{name.removesuffix('_prefix')} is empty", hint=hint)


def typed_time(text: str | None, name: str) -> int | None:
    """Return the time that the option *name* was given, in milliseconds UTC; None is none.

    Raises:
        UsageError: it names no time.
    """
    if text is None:
        return None
    from convostore import clock
    from convostore.query import moment

    found = moment(text, clock.now_ms())
    if found is None:
        raise UsageError(f"--{name} {text} is no time", hint=f"for example: {_TIMES}")
    return found
