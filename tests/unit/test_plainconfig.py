"""The light reading of the configuration agrees with the full one, or leaves it to it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from convostore import config, plainconfig
from convostore.errors import UsageError
from convostore.opener import where_is


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give an environment with a home and nothing else, the process's own too."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return {"HOME": str(tmp_path)}


def _set(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environ.update(variables)


def _write(environ: dict[str, str], text: str) -> Path:
    file = Path(environ["HOME"]) / ".config" / "convostore" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def _full(environ: dict[str, str]) -> tuple[str, str | None]:
    found = config.load(environ)
    return found.store, found.owner


def test_names_of_settings_are_those_of_the_configuration() -> None:
    """Each setting is told of twice, as a name and as a field, and both say the same."""
    fields = msgspec.structs.fields(config.Config)
    assert tuple(field.encode_name for field in fields) == plainconfig.KEYS
    seconds = tuple(field.encode_name for field in fields if field.type == config.Seconds)
    assert seconds == plainconfig.SECONDS
    assert {str(field.type) for field in fields if field.encode_name in plainconfig.TEXTS} == {
        str(str),
        str(str | None),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        'db = "work.db"\nowner = "ann"\n',
        'db = "../work.db"\nidle_timeout_s = 5\nbusy_timeout_s = 0.5\n',
        'db = "/a//b/../c.db"\n',
        'db = "~/c.db"\n',
        'db = "sqlite:///c.db"\n',
        'db = ""\nowner = ""\n',
        'provider = "local"\nlocal_model = "m.gguf"\n',
    ],
)
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"CONVOSTORE_DB": "other.db"},
        {"CONVOSTORE_DB": "~/x.db", "CONVOSTORE_OWNER": "null"},
        {"CONVOSTORE_DB": "", "CONVOSTORE_OWNER": "", "CONVOSTORE_MODEL": "4"},
        {"CONVOSTORE_BUSY_TIMEOUT_S": "7", "CONVOSTORE_OTHER": "x"},
        {"XDG_DATA_HOME": "/data"},
        {"XDG_DATA_HOME": "relative", "XDG_CONFIG_HOME": ""},
    ],
)
def test_what_is_plain_is_read_as_the_full_way_reads_it(
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    variables: dict[str, str],
) -> None:
    """File, environment and defaults have the same order and the same meaning."""
    _write(environ, text)
    _set(environ, monkeypatch, **variables)
    assert plainconfig.read(environ) == _full(environ)


def test_no_file_and_a_named_file_are_plain(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a file the defaults hold; a named one takes the place of the usual one."""
    assert plainconfig.read(environ) == _full(environ)
    named = tmp_path / "named.toml"
    named.write_text('db = "of-named.db"\n')
    _write(environ, 'db = "of-usual.db"\n')
    _set(environ, monkeypatch, CONVOSTORE_CONFIG=str(named))
    assert plainconfig.read(environ) == _full(environ) == (str(tmp_path / "of-named.db"), None)
    monkeypatch.chdir(tmp_path)
    _set(environ, monkeypatch, CONVOSTORE_CONFIG="named.toml")
    assert plainconfig.read(environ) == _full(environ) == ("of-named.db", None)


@pytest.mark.parametrize(
    "text",
    [
        "db = 5\n",
        "owner = true\n",
        "unknown = 1\n",
        "idle_timeout_s = 0\n",
        "idle_timeout_s = nan\n",
        "idle_timeout_s = true\n",
        'idle_timeout_s = "5"\n',
        "idle_timeout_s = 1e9\n",
        "not toml",
        "[db]\n",
    ],
)
def test_what_the_full_way_refuses_is_left_to_it(environ: dict[str, str], text: str) -> None:
    """A wrong file is never half read."""
    _write(environ, text)
    assert plainconfig.read(environ) is None
    with pytest.raises(UsageError):
        config.load(environ)


@pytest.mark.parametrize(
    "variables",
    [
        {"CONVOSTORE_IDLE_TIMEOUT_S": "soon"},
        {"CONVOSTORE_IDLE_TIMEOUT_S": "0"},
        {"CONVOSTORE_IDLE_TIMEOUT_S": "1e1"},
        {"CONVOSTORE_IDLE_TIMEOUT_S": "٣"},
        {"CONVOSTORE_IDLE_TIMEOUT_S": "999999"},
        {"CONVOSTORE_MODEL": "a\udc80"},
        {"CONVOSTORE_CONFIG": "/nowhere/at/all.toml"},
        {"CONVOSTORE_CONFIG": "~/c.toml"},
        {"CONVOSTORE_CONFIG": "/"},
        {"XDG_DATA_HOME": "/data/"},
        {"XDG_DATA_HOME": "/a/../b"},
        {"XDG_CONFIG_HOME": "//a"},
        {"HOME": ""},
        {"HOME": "home"},
        {"HOME": "/"},
        {"ANDROID_ROOT": "/system"},
    ],
)
def test_whatever_is_odd_is_left_to_the_full_way(
    environ: dict[str, str], variables: dict[str, str]
) -> None:
    """What may be refused, or mean something else, is not guessed at."""
    assert plainconfig.read(environ | variables) is None


def test_files_that_are_no_text_are_left_to_the_full_way(environ: dict[str, str]) -> None:
    """A folder or bytes in the file's place are the full way's to tell of."""
    file = _write(environ, "")
    file.write_bytes(b'db = "\xff"\n')
    assert plainconfig.read(environ) is None
    file.unlink()
    file.mkdir()
    assert plainconfig.read(environ) is None


def test_other_systems_are_left_to_the_full_way(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the folders of Linux are known here."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert plainconfig.read(environ) is None


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("a.db", "a.db"),
        ("/a/b.db", "/a/b.db"),
        ("sqlite:///a.db", "a.db"),
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite+aiosqlite:////a.db?x=1", "/a.db?x=1"),
        ("postgresql://x/y", None),
        ("sqlite://host/a.db", None),
        ("sqlite:///", None),
        ("a\udc80.db", None),
        ("", None),
    ],
)
def test_a_url_names_the_file_of_the_full_way(url: str, file: str | None) -> None:
    """Where a file is read from a URL, it is the one that the full way opens."""
    found = plainconfig.file_of(url)
    assert found == file
    if found is not None:
        assert str(where_is(url)) == found


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("chats.db", "chats.db"),
        ("sqlite:////x/y.db", "/x/y.db"),
        ("postgresql://host/chats", "postgresql://host/chats"),
        (
            "postgresql://eva:s3cret@host:5432/chats?sslmode=require",
            "postgresql://eva@host:5432/chats",
        ),
        ("postgres://eva:s3/c:r@e?t@host/chats", "postgres://eva@host/chats"),
        ("postgresql+psycopg:///chats?host=/run&password=s3cret", "postgresql+psycopg:///chats"),
    ],
)
def test_where_a_store_is_never_tells_a_password(url: str, told: str) -> None:
    """A server's URL is shown without password and options, whatever stands in the password."""
    assert plainconfig.location(url) == told
