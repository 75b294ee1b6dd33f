"""Configuration: where it is read from, what wins, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from convostore import config, plainconfig
from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the XDG folders into the test's own."""
    for kind in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    return tmp_path


@pytest.fixture
def file(folders: Path) -> Callable[[str], Path]:
    """Write the configuration file, and return its path."""

    def write(text: str) -> Path:
        path = folders / "config" / "convostore" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_nothing_configured_gives_the_documented_defaults(folders: Path) -> None:
    """Without a file and variables: the Playground, and a store in the data folder."""
    found = config.load({})
    assert found == config.Config(store=str(folders / "data" / "convostore" / "chats.db"))
    assert (found.provider, found.model, found.owner) == ("playground", None, None)
    limits = (found.connect_timeout_s, found.idle_timeout_s, found.total_timeout_s)
    assert (*limits, found.busy_timeout_s) == (10, 120, 1800, 10)


def test_loading_writes_nothing(folders: Path) -> None:
    """Reading the configuration makes no folder and no file."""
    config.load({})
    config.models_folder()
    assert list(folders.iterdir()) == []


def test_environment_wins_over_file_and_file_over_default(file: Callable[[str], Path]) -> None:
    """Each setting is taken from the first place that has it."""
    file('provider = "local"\nmodel = "of the file"\n')
    found = config.load({"CONVOSTORE_MODEL": "of the environment"})
    assert (found.provider, found.model) == ("local", "of the environment")
    assert found.idle_timeout_s == 120


def test_every_key_can_stand_in_the_environment(file: Callable[[str], Path]) -> None:
    """The variable of a key is its name in capitals, with the prefix."""
    for key in plainconfig.KEYS:
        value = "7" if key.endswith(("_s", "_bytes")) else "text"
        found = msgspec.to_builtins(config.load({f"CONVOSTORE_{key.upper()}": value}))
        assert str(found[key]) in {"7.0", "7", "text"}


def test_a_limit_in_bytes_is_a_whole_number() -> None:
    """What is none is refused with what it should be."""
    for wrong in ("0", "-1", "1.5", "big", str(2**41)):
        with pytest.raises(UsageError, match="must be a whole number of bytes"):
            config.load({"CONVOSTORE_MAX_ATTACHMENT_BYTES": wrong})


def test_empty_variable_counts_as_not_set(file: Callable[[str], Path]) -> None:
    """An empty variable neither sets nor unsets anything."""
    file('owner = "ann"\n')
    assert config.load({"CONVOSTORE_OWNER": ""}).owner == "ann"


def test_variable_that_looks_like_a_number_stays_text() -> None:
    """A model called 4 is not a number, and an owner called null is somebody."""
    found = config.load({"CONVOSTORE_MODEL": "4", "CONVOSTORE_OWNER": "null"})
    assert (found.model, found.owner) == ("4", "null")


def test_paths_in_the_file_count_from_its_folder(file: Callable[[str], Path]) -> None:
    """The same file means the same store wherever the program is started."""
    folder = file('db = "work.db"\nlocal_model = "../big.gguf"\n').parent
    found = config.load({})
    assert found.store == str(folder / "work.db")
    assert found.local_model == str(folder / "../big.gguf")


@pytest.mark.parametrize("store", ["sqlite+aiosqlite:///a.db", "/somewhere/a.db"])
def test_url_and_absolute_path_stay_as_they_are(store: str, file: Callable[[str], Path]) -> None:
    """A URL is no path, and an absolute path needs no folder."""
    file(f'db = "{store}"\n')
    assert config.load({}).store == store


def test_variable_names_another_file(folders: Path) -> None:
    """CONVOSTORE_CONFIG replaces the file of the configuration folder."""
    other = folders / "other.toml"
    other.write_text('model = "m"\n')
    environ = {"CONVOSTORE_CONFIG": str(other)}
    assert config.load(environ).model == "m"
    assert config.path(environ) == other


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("provider", "is not TOML"),
        ('provder = "echo"', "unknown key: provder"),
        ("db = 3", "db must be text"),
        ("model = true", "model must be text"),
        ('idle_timeout_s = "long"', "idle_timeout_s must be a number of seconds"),
        ("idle_timeout_s = true", "idle_timeout_s must be a number of seconds"),
        ("total_timeout_s = 0", "total_timeout_s must be a number of seconds"),
        ("busy_timeout_s = -1", "busy_timeout_s must be a number of seconds"),
        ("connect_timeout_s = nan", "connect_timeout_s must be a number of seconds"),
        ("connect_timeout_s = inf", "connect_timeout_s must be a number of seconds"),
        ("[provider]", "provider must be text"),
        ('db = "~nobody-of-that-name/a.db"', "home folder that is not there"),
    ],
)
def test_file_that_cannot_be_meant_is_refused(
    text: str, about: str, file: Callable[[str], Path]
) -> None:
    """The error is one line with the file's name, and the hint says what to do."""
    path = file(text)
    with pytest.raises(UsageError, match=about) as caught:
        config.load({})
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("value", ["soon", "nan", "0", "-3", "1e9"])
def test_variable_that_cannot_be_meant_is_refused(value: str) -> None:
    """The error names the variable."""
    with pytest.raises(UsageError, match=r"^CONVOSTORE_IDLE_TIMEOUT_S: .*number of seconds"):
        config.load({"CONVOSTORE_IDLE_TIMEOUT_S": value})


def test_variable_that_names_no_file_is_refused() -> None:
    """Nobody's home folder has no configuration."""
    with pytest.raises(UsageError, match="CONVOSTORE_CONFIG names no file"):
        config.load({"CONVOSTORE_CONFIG": "~nobody-of-that-name/config.toml"})


def test_bad_value_in_the_file_is_refused_though_a_variable_would_win(
    file: Callable[[str], Path],
) -> None:
    """A file is right or wrong by itself, whatever the environment says today."""
    file("idle_timeout_s = 'long'")
    with pytest.raises(UsageError, match="idle_timeout_s"):
        config.load({"CONVOSTORE_IDLE_TIMEOUT_S": "5"})


def test_named_file_that_is_not_there_is_refused(folders: Path) -> None:
    """A missing file is only right where nobody asked for it."""
    with pytest.raises(UsageError, match="not there"):
        config.load({"CONVOSTORE_CONFIG": str(folders / "gone.toml")})


def test_folder_in_place_of_the_file_is_refused(folders: Path) -> None:
    """What cannot be read as a file is told so."""
    with pytest.raises(UsageError, match="cannot be read"):
        config.load({"CONVOSTORE_CONFIG": str(folders)})


def test_file_that_is_not_utf8_is_refused(file: Callable[[str], Path]) -> None:
    """Bytes that are no text are told so, and not shown."""
    file("").write_bytes(b'model = "\xff"')
    with pytest.raises(UsageError, match="not UTF-8"):
        config.load({})
