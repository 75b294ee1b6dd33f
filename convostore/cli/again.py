"""The command lines that messages name, so that typing one leads to the same store and owner.

What was typed for this one run is typed again; what the environment or the configuration file says
stays in force by itself. A password is never shown: such a command will ask its `.pgpass` for it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from re import Match

_OF_NO_STORE = "models"
# What of a server's options leads to it and is no secret.
# Source: PostgreSQL, "Parameter Key Words" of a connection.
_LEADING = frozenset(
    {"host", "hostaddr", "port", "dbname", "user", "service", "options", "passfile"}
    | {"sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs"}
)


def command(db: str | None, owner: str | None, *words: str) -> str:
    """Return the command line that runs *words* on the same store as the same owner.

    Args:
        db: the store as typed; None when it was not typed.
        owner: likewise.
        words: the command and its arguments.
    """
    import shlex

    return shlex.join(["convostore", *_flags(db, owner, words[0]), *words])


def fitted(text: str, db: str | None, owner: str | None) -> str:
    """Return *text* with what was typed in each command line of ours that it names; idempotent."""
    if db is None and owner is None:
        return text
    import re
    import shlex

    from convostore.cli.commands import NAMES

    def typed(found: Match[str]) -> str:
        if found[1] not in NAMES or found[1] == _OF_NO_STORE:
            return found[0]
        return shlex.join(["convostore", *_flags(db, owner, found[1])]) + " "

    return re.sub(r"(?<!\S)convostore (?=([a-z-]+))", typed, text)


def _flags(db: str | None, owner: str | None, verb: str) -> list[str]:
    shown = [] if db is None else ["--db", _typable(db)]
    return shown if owner is None or verb in {"db", "path"} else [*shown, "--owner", owner]


def _typable(url: str) -> str:
    """Return a store's URL as it may be shown and still leads there: a server's without secrets."""
    from convostore.plainconfig import shown

    place = shown(url)
    if place == url:
        return url
    query = url.rpartition("@")[2].partition("?")[2]
    kept = [option for option in query.split("&") if option.partition("=")[0] in _LEADING]
    return "?".join([place, "&".join(kept)]) if kept else place
