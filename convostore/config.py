"""What is configured: the environment, over one TOML file, over the defaults.

Each setting has one name. In the file it is a key (`idle_timeout_s = 60`), in the environment
the same name with the prefix (`CONVOSTORE_IDLE_TIMEOUT_S=60`). An argument or a typed option
wins over both. An empty variable counts as not set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeAlias

import msgspec

from convostore.errors import UsageError
from convostore.paths import OddPathError, path_of
from convostore.plainconfig import (
    BYTES,
    FILE_VARIABLE,
    KEYS,
    LONGEST_S,
    MOST_BYTES,
    PREFIX,
    from_folder,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Bytes: TypeAlias = Annotated[int, msgspec.Meta(gt=0, le=MOST_BYTES)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=LONGEST_S)]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is configured, whole: what nobody set has its default.

    Attributes:
        store: the store's path or URL; called `db` in the file and the environment.
        owner: whose conversations; None is the store's own personal owner.
        provider: who answers, by name.
        model: which of that provider's models; None is its first.
        playground_url: the server that speaks the Playground's protocol.
        openai_url: the server that speaks chat completions; None is OpenAI's own.
        local_model: the GGUF file of the provider `local`; None is the one in `models_folder()`.
        connect_timeout_s: for making a connection.
        idle_timeout_s: for the next event of a reply.
        total_timeout_s: for a whole reply.
        busy_timeout_s: for a store that another process is writing to.
        max_attachment_bytes: of one attachment; a larger one is refused.
    """

    store: str = msgspec.field(name="db", default="")
    owner: str | None = None
    provider: str = "playground"
    model: str | None = None
    playground_url: str = "https://olmo-api.allen.ai"
    openai_url: str | None = None
    local_model: str | None = None
    connect_timeout_s: Seconds = 10.0
    idle_timeout_s: Seconds = 120.0
    total_timeout_s: Seconds = 1800.0
    busy_timeout_s: Seconds = 10.0
    max_attachment_bytes: Bytes = 64 * 1024 * 1024


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read what is configured, now.

    Args:
        environ: where the variables are; the process's own by default.

    Raises:
        UsageError: the file cannot be read or has something that cannot be meant; a variable too.
    """
    environ = os.environ if environ is None else environ
    file = _file(environ)
    values = _from_file(file, named=bool(environ.get(FILE_VARIABLE)))
    config = _checked(values, origin=str(file), strict=True)
    for key in KEYS:
        variable = PREFIX + key.upper()
        if environ.get(variable):
            _checked({key: environ[variable]}, origin=variable, strict=False)
            values[key] = environ[variable]
    config = _checked(values, origin=str(file), strict=False)
    return config if config.store else msgspec.structs.replace(config, store=_default_store())


def path(environ: Mapping[str, str] | None = None) -> Path:
    """Return the configuration file that `load` reads; it need not exist."""
    return _file(os.environ if environ is None else environ)


def models_folder() -> Path:
    """Return the folder where downloaded models are kept; it need not exist."""
    import platformdirs

    return platformdirs.user_cache_path("convostore", appauthor=False) / "models"


def _default_store() -> str:
    import platformdirs

    return str(platformdirs.user_data_path("convostore", appauthor=False) / "chats.db")


def _file(environ: Mapping[str, str]) -> Path:
    named = environ.get(FILE_VARIABLE)
    if named:
        try:
            return path_of(named)
        except OddPathError as odd:
            _refuse(f"{FILE_VARIABLE} names no file: {odd.shown}: {odd.reason}", "correct it")
    import platformdirs

    return platformdirs.user_config_path("convostore", appauthor=False) / "config.toml"


def _from_file(file: Path, *, named: bool) -> dict[str, Any]:
    """Return what the file says; nothing when there is none and nobody named it."""
    import tomllib

    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not named:
            return {}
        _refuse(f"{FILE_VARIABLE} names a file that is not there: {file}", "make it, or unset it")
    except OSError as error:
        _refuse(f"{file} cannot be read: {error.strerror}", f"mend it, or set {FILE_VARIABLE}")
    except UnicodeDecodeError:
        _refuse(f"{file} is not UTF-8 text", "save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        _refuse(f"{file} is not TOML: {error}", 'a line looks like: provider = "local"')
    try:
        return {key: from_folder(str(file.parent), key, value) for key, value in values.items()}
    except RuntimeError as error:  # `~name` of nobody
        _refuse(f"{file} names a home folder that is not there: {error}", "write the folder out")


def _checked(values: dict[str, Any], *, origin: str, strict: bool) -> Config:
    """Return *values* as a Config.

    Args:
        values: by key.
        origin: the file or variable they come from, for the error.
        strict: False where a number may stand as text, as it does in a variable.
    """
    for key in values:
        if key not in KEYS:
            _refuse(f"{origin} has an unknown key: {key}", f"keys: {', '.join(KEYS)}")
    try:
        return msgspec.convert(values, Config, strict=strict)
    except msgspec.ValidationError as error:
        key = str(error).partition(" - at `$.")[2].rstrip("`")
        kind = f"a number of seconds, above 0, at most {LONGEST_S}" if key[-2:] == "_s" else "text"
        kind = "a whole number of bytes, above 0" if key in BYTES else kind
        _refuse(f"{origin}: {key} must be {kind}", f"correct it there, or take {key} out")


def _refuse(message: str, hint: str) -> NoReturn:
    raise UsageError(message, hint=hint)
