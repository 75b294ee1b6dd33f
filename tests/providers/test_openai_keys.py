"""Keys: where they come from, where they go, and who may read them."""

from __future__ import annotations

import json
import os
import pickle
import stat
from typing import TYPE_CHECKING

import pytest

from convostore import errors
from convostore.providers import keys
from convostore.providers.keys import Key
from convostore.providers.openai import OpenAIProvider
from convostore.providers.openai_address import address, key_for
from tests.providers.completions import DONE, END, KEY, failure, hear, serving, text

if TYPE_CHECKING:
    from pathlib import Path

OPENAI, OTHER, LOCAL = "https://api.openai.com", "https://router.example", "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty configuration folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "convostore"


def found(origin: str, given: str | None = None, **environ: str) -> str | None:
    """Return the key for a server, as text."""
    key = key_for(origin, given, environ)
    return None if key is None else key.reveal()


def test_a_key_goes_to_the_server_that_it_is_for() -> None:
    """OpenAI's variable is for OpenAI, or for the server named in the variable beside it."""
    assert found(OPENAI, OPENAI_API_KEY="k") == "k"
    assert found(OTHER, OPENAI_API_KEY="k") is None
    assert found(LOCAL, OPENAI_API_KEY="k") is None
    assert found(OTHER, OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{OTHER}/api/v1") == "k"
    assert found(OPENAI, OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{OTHER}/api/v1") is None
    assert found("http://api.openai.com", OPENAI_API_KEY="k") is None
    assert found("https://api.openai.com:8443", OPENAI_API_KEY="k") is None


def test_our_own_variable_is_for_the_configured_server(home: Path) -> None:
    """Configured in the environment, in the file, or nowhere: then it is OpenAI's own."""
    own = {"CONVOSTORE_OPENAI_API_KEY": "k"}
    assert found(OPENAI, **own) == "k"
    assert found(OTHER, **own) is None
    assert found(OTHER, **own, CONVOSTORE_OPENAI_URL=f"{OTHER}/v1") == "k"
    assert found(OPENAI, **own, CONVOSTORE_OPENAI_URL=f"{OTHER}/v1") is None
    home.mkdir()
    (home / "config.toml").write_text(f'openai_url = "{OTHER}/v1"')
    assert found(OTHER, **own) == "k"


def test_what_is_given_wins_then_our_own_then_what_is_kept() -> None:
    """What somebody typed for this program comes before what is there for all."""
    keys.keep(OPENAI, Key("kept"))
    own, usual = {"CONVOSTORE_OPENAI_API_KEY": "own"}, {"OPENAI_API_KEY": "usual"}
    assert found(OPENAI, "given", **own, **usual) == "given"
    assert found(OPENAI, **own, **usual) == "own"
    assert found(OPENAI, **usual) == "kept"
    assert keys.keep(OPENAI, None)
    assert found(OPENAI, **usual) == "usual"
    assert found(OPENAI, OPENAI_API_KEY=" ") is None


def test_the_address_is_the_argument_the_environment_then_the_file(home: Path) -> None:
    """As with any other setting."""
    home.mkdir()
    (home / "config.toml").write_text('openai_url = "http://file:1/v1"')
    assert address(None, {}).url == "http://file:1/v1"
    usual = {"OPENAI_BASE_URL": "http://usual/v1"}
    assert address(None, usual).url == "http://usual/v1"
    assert address(None, {**usual, "CONVOSTORE_OPENAI_URL": "http://own/v1"}).url == "http://own/v1"
    assert address("http://given/v1", usual).url == "http://given/v1"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("https://Router.Example:443/api/v1/", "https://router.example/api/v1"),
        ("http://[::1]:8080/v1/chat/completions", "http://[::1]:8080/v1"),
        (" https://x/openai/deployments/d ", "https://x/openai/deployments/d"),
    ],
)
def test_an_address_may_be_written_in_several_ways(url: str, meant: str) -> None:
    """Without a path it means /v1; what stands for one call is taken off."""
    assert address(url).url == meant


@pytest.mark.parametrize("url", ["", "x", "ftp://x", "http://", "https://u:hidden@x/v1", "https://x/v1?api_key=hidden", "https://x/#hidden", "http://x:99999", "http://x y"])  # fmt: skip
def test_an_address_that_cannot_work_is_refused_and_not_repeated(url: str) -> None:
    """It may hold a password or a key."""
    with pytest.raises(errors.ProviderOptionError) as caught:
        OpenAIProvider("m", url)
    assert "hidden" not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.asyncio
async def test_the_key_goes_along_and_is_shown_nowhere() -> None:
    """Also to the list of models; without a key there is no header at all."""
    async with serving() as server:
        server.answer(*text("a"), END, DONE)
        provider = OpenAIProvider("m", server.url, api_key=KEY)
        await provider.models()
        await provider.aclose()
        await hear(server)
        assert {one.headers["Authorization"] for one in server.received} == {f"Bearer {KEY}"}
        server.received.clear()
        await hear(server, api_key=None)
        assert "Authorization" not in server.received[0].headers
    assert KEY not in repr(provider)
    assert KEY not in repr(vars(provider))


def test_a_key_does_not_show_itself() -> None:
    """Not in a text, nor in a pickle."""
    key = Key("secret")
    assert "secret" not in f"{key} {key!r} {[key]}"
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_the_key_follows_no_redirect(status: int) -> None:
    """Not to another host, and not to this one."""
    async with serving() as other, serving() as server:
        server.refuse(status, "", Location=f"{other.url}/v1/chat/completions")
        error = await failure(server, errors.ProviderProtocolError)
        assert "redirects" in str(error)
        assert not other.received


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\x00b", "schlüssel", "x" * 9000])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(value: str) -> None:
    """Least of all does it end one header and begin another."""
    with pytest.raises(errors.ProviderAuthError) as caught:
        OpenAIProvider("m", api_key=value)
    if value.strip():
        assert value not in f"{caught.value!r} {caught.value.hint}"


def test_kept_keys_are_for_their_owner_alone(home: Path) -> None:
    """The file is made so, whatever the mask, and made anew each time."""
    mask = os.umask(0)
    try:
        assert not keys.keep(f"{OTHER}/api/v1", Key("a"))
        assert keys.keep(OTHER, Key("b"))
        keys.keep(LOCAL, Key("c"))
    finally:
        os.umask(mask)
    file = home / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {OTHER: "b", LOCAL: "c"}
    assert [one.name for one in home.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660])
def test_a_file_of_keys_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    """None of its keys is used, and nothing is written into it."""
    keys.keep(OPENAI, Key("secret"))
    (home / "keys.json").chmod(mode)
    for attempt in (lambda: key_for(OPENAI, None, {}), lambda: keys.keep(OTHER, Key("b"))):
        with pytest.raises(errors.ProviderAuthError) as caught:
            attempt()
        assert "secret" not in f"{caught.value!r} {caught.value.hint}"
        assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("content", ["secret", "[]", '{"https://x": 7}', '{"secret": "k"}', "", '{"https://x": ""}'])  # fmt: skip
def test_a_file_of_keys_that_is_none_is_refused_and_not_repeated(home: Path, content: str) -> None:
    """Half of a key may stand in it."""
    home.mkdir()
    (home / "keys.json").write_text(content)
    (home / "keys.json").chmod(0o600)
    with pytest.raises(errors.ProviderAuthError) as caught:
        key_for(OPENAI, None, {})
    assert "secret" not in f"{caught.value!r} {caught.value.hint}"


def test_a_folder_or_a_pipe_is_no_file_of_keys(home: Path) -> None:
    """A pipe would be waited for."""
    (home / "keys.json").mkdir(parents=True)
    with pytest.raises(errors.ProviderAuthError):
        key_for(OPENAI, None, {})
    (home / "keys.json").rmdir()
    os.mkfifo(home / "keys.json", 0o600)
    with pytest.raises(errors.ProviderAuthError, match="plain file"):
        key_for(OPENAI, None, {})
