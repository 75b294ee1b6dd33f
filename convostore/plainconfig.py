"""What is configured, as far as it is plain, read with the standard library alone.

The reading commands have to be there at once. This module knows the names of the settings and
reads the two that those commands need; whatever is not plain (another system than Linux, a
wrong value, an unknown key) it leaves to `convostore.config`, which says what is wrong.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PREFIX = "CONVOSTORE_"
FILE_VARIABLE = "CONVOSTORE_CONFIG"  # names another file than the one in the XDG folder
MEMORY = ":memory:"  # SQLite's name for what is in no file, and so no store
LONGEST_S = 7 * 86_400  # a bound, so that infinite and nan are refused
PATHS = ("db", "local_model")  # in the file they count from the file's own folder
TEXTS = ("db", "owner", "provider", "model", "playground_url", "openai_url", "local_model")
SECONDS = ("connect_timeout_s", "idle_timeout_s", "total_timeout_s", "busy_timeout_s")
BYTES = ("max_attachment_bytes",)
MOST_BYTES = 2**40
KEYS = TEXTS + SECONDS + BYTES

_MOST_DIGITS = 6  # of a number in a variable


def read(environ: Mapping[str, str]) -> tuple[str, str | None] | None:
    """Return the store (its path or URL) and the owner; None where `config.load` has to look.

    Args:
        environ: the variables.
    """
    if sys.platform != "linux" or "ANDROID_ROOT" in environ:
        return None
    values = _from_file(environ)
    if values is None:
        return None
    for key in KEYS:
        value = environ.get(PREFIX + key.upper())
        if value:
            if not _is_plain_variable(key, value):
                return None
            values[key] = value
    store = values.get("db") or _in_home(environ, "XDG_DATA_HOME", ".local/share", "chats.db")
    return (store, values.get("owner")) if store else None


def file_of(url: str) -> str | None:
    """Return the file that *url* names, as `opener.file_of` does; None where it may be none."""
    scheme, found, rest = url.partition("://")
    if found:
        named = scheme.partition("+")[0] == "sqlite" and rest.startswith("/")
        url = rest[1:] if named else ""
    plain = url.isprintable() and not url.startswith("~") and url.rpartition("/")[2] != MEMORY
    return url if url and plain else None


def location(url: str) -> str:
    """Return where the store *url* is: the file of a SQLite URL, else as it may be shown."""
    scheme, found, path = url.partition(":///")
    if found and scheme.partition("+")[0] == "sqlite":
        return path
    return shown(url) if "://" in url else at_home(url)


def at_home(path: str) -> str:
    """Return *path* with the folder that a `~` at its beginning means, as in a shell."""
    return os.path.expanduser(path) if path.startswith("~") else path  # noqa: PTH111 - pathlib takes as long to load as sqlite3


def shown(url: str) -> str:
    """Return a store's URL as it may be shown: a server's without password and options.

    A password may hold any character, so whatever stands before the last `@` counts as one.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        return url
    userinfo, at, place = rest.rpartition("@")
    return f"{scheme}://{userinfo.partition(':')[0]}{at}{place.partition('?')[0]}"


def from_folder(folder: str, key: str, value: object) -> object:
    """Return a value of the file in *folder*; a relative path counts from there."""
    if key not in PATHS or not isinstance(value, str) or "://" in value or not value:
        return value
    from pathlib import Path

    return str(Path(folder) / Path(value).expanduser())


def _in_home(environ: Mapping[str, str], variable: str, folder: str, name: str) -> str | None:
    """Return a file in one of the XDG folders; None where the folder is not plainly named.

    Source: XDG Base Directory Specification 0.8: a relative folder is as none.
    """
    base, home = environ.get(variable, ""), environ.get("HOME", "")
    if not base.startswith("/"):
        base = f"{home}/{folder}" if home.startswith("/") else ""
    plain = base[:1] == "/" != base[1:2] and os.path.normpath(base) == base and base.isprintable()
    return f"{base}/convostore/{name}" if plain else None


def _from_file(environ: Mapping[str, str]) -> dict[str, Any] | None:
    named = environ.get(FILE_VARIABLE)
    file = named or _in_home(environ, "XDG_CONFIG_HOME", ".config", "config.toml")
    if file is None or file.startswith("~"):
        return None
    try:
        with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - pathlib takes as long to load as sqlite3
            text = opened.read()
    except FileNotFoundError:
        return None if named else {}
    except (OSError, ValueError):
        return None
    import tomllib

    try:
        values = tomllib.loads(text)
        folder = _folder(file)
        values = {key: from_folder(folder, key, value) for key, value in values.items()}
    except (ValueError, RuntimeError):
        return None
    return values if all(_is_plain_value(*item) for item in values.items()) else None


def _folder(file: str) -> str:
    from pathlib import Path

    return str(Path(file).parent)


def _is_plain_value(key: str, value: object) -> bool:
    if key in TEXTS:
        return isinstance(value, str)
    if key in BYTES:
        return type(value) is int and 0 < value <= MOST_BYTES
    return key in SECONDS and type(value) in {int, float} and 0 < value <= LONGEST_S  # type: ignore[operator]  # a number, as its type was just compared


def _is_plain_variable(key: str, value: str) -> bool:
    if key in TEXTS:
        return value.isprintable()
    if key in BYTES:
        return False
    plain = value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS
    return plain and 0 < int(value) <= LONGEST_S
