"""Providers of installed packages: found by name, or refused with one clear line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import providers
from convostore.errors import ProviderError
from convostore.providers import Echo
from convostore.providers.plugins import models_of
from tests.providers.plugged import install

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder in which Python looks for packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_provider_is_made_by_the_name_of_its_entry_point(site: Path) -> None:
    """With the options that its class takes."""
    install(site, "parrots", "parrot = parrots:Parrot")
    assert providers.is_known("parrot")
    assert providers.make("parrot").name == "parrot"
    with pytest.raises(ProviderError, match="cannot be made: TypeError"):
        providers.make("parrot", colour="green")


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("parrots:Nobody", "cannot be loaded: AttributeError"),
        ("broken:Parrot", "cannot be loaded: ModuleNotFoundError"),
        ("parrots:number", "it cannot be called"),
        ("parrots:fails", "cannot be made: RuntimeError: two lines"),
        ("parrots:exits", "cannot be made: SystemExit: 3"),
        ("parrots:Half", "it has no stream, recover, models, aclose"),
        ("parrots:Other", "calls itself 'other'"),
        ("parrots:mutters", "cannot be made: Untold"),
        ("parrots:refuses", "no key"),
        ("parrots:Nameless", "cannot be used: ValueError: two lines"),
        ("parrots:Numbered", "its name is no text but int"),
        ("parrots:Shy", "cannot be used: ValueError: shy"),
        ("parrots", "it cannot be called"),
        ("parrots:", "cannot be loaded"),
    ],
)
def test_what_is_no_provider_is_one_clear_line(site: Path, point: str, words: str) -> None:
    """The hint names the package."""
    install(site, "parrots", f"parrot = {point}")
    with pytest.raises(ProviderError) as caught:
        providers.make("parrot")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "package parrots" in caught.value.hint


def test_what_a_provider_is_written_with_has_public_names() -> None:
    """They are loaded when they are asked for, and no others are there."""
    for name in ("Provider", "ChatRequest", "ChatMessage", "ModelInfo"):
        assert getattr(providers, name).__module__ == "convostore.providers.provider"
    for provider in (Echo(), providers.OpenAIProvider("m"), providers.Playground()):
        assert isinstance(provider, providers.Provider)
    with pytest.raises(AttributeError):
        _ = providers.Nobody


def test_two_of_one_name_are_refused(site: Path) -> None:
    """Neither is chosen by chance; a name of our own cannot be taken."""
    for package in ("parrots", "cuckoos"):
        install(site, package, "parrot = parrots:Parrot", "echo = parrots:Parrot")
    with pytest.raises(ProviderError, match="is named by cuckoos and parrots"):
        providers.make("parrot")
    assert isinstance(providers.make("echo"), Echo)


@pytest.mark.parametrize("written", [b"[convostore.providers]\ngarbage\n", b"\xff"])
def test_package_whose_entry_points_cannot_be_read_is_named(site: Path, written: bytes) -> None:
    """It keeps Python from reading any; what is built in is found all the same."""
    install(site, "parrots", "parrot = parrots:Parrot")
    install(site, "cuckoos")
    (site / "cuckoos-1.0.dist-info" / "entry_points.txt").write_bytes(written)
    for ask in (providers.is_known, providers.make):
        with pytest.raises(ProviderError, match="of the package cuckoos cannot be read") as caught:
            ask("parrot")
        assert caught.value.hint
    assert isinstance(providers.make("echo"), Echo)


def test_a_name_of_nobody_is_told_with_all_names(site: Path) -> None:
    """Those of installed packages too."""
    install(site, "parrots", "parrot = parrots:Parrot")
    assert not providers.is_known("canary")
    with pytest.raises(ProviderError) as caught:
        providers.make("canary")
    assert "openai" in caught.value.hint
    assert "parrot" in caught.value.hint


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("counted", "lists what is no ModelInfo but int"),
        ("vague", "ValidationError: Expected `str`, got `null`"),
        ("plain", "TypeError"),
        ("mute", "KeyError"),
    ],
)
async def test_what_is_no_list_of_models_is_one_clear_line(
    site: Path, name: str, words: str
) -> None:
    """Whatever a provider lists or raises in its place is its fault, and said to be."""
    install(site, "parrots", f"{name} = parrots:{name.title()}")
    with pytest.raises(ProviderError, match=f"the provider {name} failed: .*{words}") as caught:
        await models_of(providers.make(name))
    assert caught.value.hint
    assert await models_of(Echo())


@pytest.mark.parametrize(
    "attribute", ["default_model", "takes_tools", "idle_timeout_s", "total_timeout_s"]
)
@pytest.mark.asyncio
async def test_what_fails_to_say_what_it_can_is_a_fault(tmp_path: Path, attribute: str) -> None:
    """Nothing is stored, and the error is one of ours."""

    class Odd(Echo):
        """Works out what it says of itself."""

    def fails(_: Odd) -> str:
        raise KeyError("settings")

    setattr(Odd, attribute, property(fails))
    async with convostore.open(tmp_path / "s.db", provider=Odd()) as store:
        chat = await store.get_or_create("room")
        with pytest.raises(ProviderError, match="KeyError: 'settings'"):
            await chat.send("Hi")
        assert await chat.history() == ()


@pytest.mark.parametrize("wrong", ["30", -1, float("nan")])
@pytest.mark.asyncio
async def test_limit_that_is_no_number_of_seconds_is_a_fault(tmp_path: Path, wrong: object) -> None:
    """It is told before anything is stored, and by its name."""

    class Odd(Echo):
        """Has a limit of another kind."""

        idle_timeout_s = wrong

    async with convostore.open(tmp_path / "s.db", provider=Odd()) as store:
        chat = await store.get_or_create("room")
        with pytest.raises(ProviderError, match="idle_timeout_s is no number of seconds"):
            await chat.send("Hi")
        assert await chat.history() == ()
