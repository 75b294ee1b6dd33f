"""Keys to servers: from the environment, or from a file that nobody else can read.

A key belongs to one server, named by scheme, host and port, and is sent to no other.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from convostore.errors import ProviderAuthError, ProviderOptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "keys"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_KEY: Final = 8192  # as many bytes as servers take in a header
_LONGEST_FILE: Final = 1024 * 1024
_SHORT_KEY: Final = 8  # shorter ones are words such as `none`, and stand inside of others


class Key:
    """A secret that shows itself to nobody: not in a text, a log or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        """Show that it is one."""
        return "<Key>"

    def __reduce__(self) -> str:
        """Refuse to be written down."""
        raise TypeError("a key is not to be pickled")


def redacted(text: str, key: Key | None) -> str:
    """Return *text* on one line, without *key*."""
    secret = "" if key is None else key.reveal()
    if len(secret) < _SHORT_KEY and secret:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text)
    elif secret:
        text = text.replace(secret, "…")
    return " ".join(text.split())


def checked(value: str, origin: str) -> Key:
    """Return *value* as a key, without the white space around it.

    Args:
        value: as given.
        origin: where it came from, for the error.

    Raises:
        ProviderAuthError: it is empty, too long, or cannot stand in a header.
    """
    value = value.strip()
    if not value or len(value) > _LONGEST_KEY or not value.isascii() or not value.isprintable():
        raise ProviderAuthError(
            f"{origin} holds no key: a key is one line of plain letters, digits and signs",
            provider=NAME,
            hint="copy it anew from where you got it",
        )
    return Key(value)


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*, in the one form by which keys name a server.

    Raises:
        ProviderOptionError: it is no address of a server.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ProviderOptionError(
            "a server is named by its address, such as https://api.openai.com",
            provider=NAME,
            hint="begin it with https:// or http://",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, usual} else "")


def file() -> Path:
    """Return the file of keys; it need not exist."""
    import platformdirs

    return platformdirs.user_config_path("convostore", appauthor=False) / "keys.json"


def kept(path: Path | None = None) -> dict[str, Key]:
    """Read the file of keys, by server.

    Raises:
        ProviderAuthError: it cannot be read, or others can read it.
    """
    path = path or file()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, (error.strerror or "it cannot be opened").lower()) from None
    try:
        _refuse_open_door(path, os.fstat(descriptor))
        values = json.loads(os.read(descriptor, _LONGEST_FILE))
    except (OSError, ValueError, RecursionError):  # its text may be a key: not repeated
        raise _unreadable(path, "it is not JSON") from None
    finally:
        os.close(descriptor)
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise _unreadable(path, 'it is not of the form {"https://SERVER": "KEY"}')
    try:
        return {origin_of(server): checked(value, str(path)) for server, value in values.items()}
    except ProviderOptionError as odd:
        raise _unreadable(path, odd.message) from None


def keep(server_url: str, key: Key | None, path: Path | None = None) -> bool:
    """Write a server's key into the file of keys, or take it out; durable once it returns.

    Args:
        server_url: the server; its path does not count.
        key: None takes it out.
        path: another file.

    Returns:
        Whether there was one before.

    Raises:
        ProviderOptionError: it is no address of a server.
        ProviderAuthError: the file cannot be read or written, or others can read it.
    """
    path, origin = path or file(), origin_of(server_url)
    values = {server: one.reveal() for server, one in kept(path).items()}
    known = values.pop(origin, None) is not None
    if key is not None:
        values[origin] = key.reveal()
    if key is not None or known:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, json.dumps(values, indent=2, sort_keys=True) + "\n")
        except OSError as error:
            why = (error.strerror or "no reason given").lower()
            raise ProviderAuthError(
                f"the keys cannot be written to {path}: {why}", provider=NAME, hint="mend it"
            ) from None
    return known


def named_in(environ: Mapping[str, str], variable: str) -> Key | None:
    """Return the key in a variable; None where there is none.

    Raises:
        ProviderAuthError: what is there is none.
    """
    value = environ.get(variable, "")
    return checked(value, variable) if value.strip() else None


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of *path*: for its owner alone from its first byte on."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refuse_open_door(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unreadable(path, "it is no plain file")
    if found.st_uid != os.geteuid():
        raise _unreadable(path, "it belongs to somebody else")
    if found.st_mode & _OTHERS:
        raise ProviderAuthError(
            f"others can read the keys in {path}; none of them was used",
            provider=NAME,
            hint=f"type: chmod 600 {path}  and, if others were there, make new keys",
        )


def _unreadable(path: Path, why: str) -> ProviderAuthError:
    return ProviderAuthError(
        f"the keys in {path} cannot be read: {why}",
        provider=NAME,
        hint="mend it, or remove it and type: convostore keys set",
    )
