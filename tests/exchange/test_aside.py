"""A long file is read in a process of its own: the same comes of it, whatever becomes of the child."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import convostore
from convostore.errors import FormatError
from convostore.exchange import aside
from convostore.exchange.aside import Aside
from tests.engines import rows

if TYPE_CHECKING:
    from pathlib import Path

    from convostore import ImportResult

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.only("sqlite", reason="the file is read before any engine"),
]
PICTURE = b"picture " * 1_000


@pytest.fixture(autouse=True)
def every_file_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take any file for a long one."""
    monkeypatch.setattr(aside, "LONG_BYTES", 0)


def chat(number: int, *parts: Any) -> dict[str, Any]:
    """Return a conversation as ChatGPT exports it."""
    content = {"content_type": "multimodal_text", "parts": [f"said {number}", *parts]}
    node = {"parent": None, "message": {"author": {"role": "user"}, "content": content}}
    return {"id": f"c{number}", "title": f"Chat {number}", "mapping": {"m": node}}


def write(folder: Path, *found: Any, then: str = "]") -> Path:
    """Write an export, which ends with *then*."""
    path = folder / "export.json"
    path.write_text("[" + ",".join(map(json.dumps, found)) + then)
    return path


async def imported(store: Path, source: Path, at_first: Any = None) -> list[ImportResult]:
    """Import a file; call *at_first* with the import when its first result is there."""
    results: list[ImportResult] = []
    async with convostore.open(store) as opened:
        work = opened.import_(source)
        assert isinstance(work._batches, Aside)
        async for result in work:
            if not results and at_first is not None:
                at_first(work._batches)
            results.append(result)
        assert (await opened.check(deep=True)).problems == ()
        assert work.report.records == len(results)
    return results


def outcomes(results: list[ImportResult]) -> list[tuple[str, str | None]]:
    """Return what became of each, and of what."""
    return [(one.outcome, one.source_id) for one in results]


async def test_what_is_read_aside_is_what_is_read_here(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results, remarks and rows are the same, refused records too; the child is gone in the end."""
    found = [*map(chat, range(450)), {"id": "bad", "mapping": 7}, chat(451)]
    source = write(tmp_path, *found)
    children: list[int] = []
    there = await imported(path, source, lambda it: children.append(it._child.pid))
    monkeypatch.setattr(aside, "LONG_BYTES", 2**60)
    async with convostore.open(other := tmp_path / "here.db") as store:
        here = [result async for result in store.import_(source)]
    plain = {"id": None, "handle": None}
    assert [msgspec.structs.replace(one, **plain) for one in there] == [
        msgspec.structs.replace(one, **plain) for one in here
    ]
    assert there[450].where == "record 451"
    said = "SELECT source_id, text, content_hash FROM message ORDER BY conversation_id"
    assert sorted(rows(path, said)) == sorted(rows(other, said))
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)


async def test_child_that_dies_costs_no_record(path: Path, tmp_path: Path) -> None:
    """Killed after its first records, it is gone on for from the next one, each once."""
    found = [chat(number, "x" * 2_000) for number in range(900)]
    results = await imported(
        path,
        write(tmp_path, *found),
        lambda it: os.kill(it._child.pid, signal.SIGKILL),
    )
    assert outcomes(results) == [("added", f"c{number}") for number in range(900)]


async def test_what_came_along_is_opened_here(path: Path, tmp_path: Path) -> None:
    """From the first conversation with a file on this process reads, and nothing is doubled."""
    pointer = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-abc1"}
    found = [chat(0), chat(1), chat(2, pointer), chat(3)]
    source = tmp_path / "export.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("conversations.json", json.dumps(found))
        archive.writestr("file-abc1-cat.png", PICTURE)
    results = await imported(path, source)
    assert outcomes(results) == [("added", f"c{number}") for number in range(4)]
    assert rows(path, "SELECT size FROM attachment") == [(len(PICTURE),)]


async def test_error_of_the_child_is_the_error_of_the_import(path: Path, tmp_path: Path) -> None:
    """What is no export at all is told as it is told here, with the hint."""
    source = tmp_path / "export.json"
    source.write_text("[1, 2, 3]")
    with pytest.raises(FormatError, match="cannot import") as caught:
        await imported(path, source)
    assert caught.value.hint


async def test_import_that_is_left_ends_its_child(path: Path, tmp_path: Path) -> None:
    """Whoever asks no further leaves no process behind."""
    source = write(tmp_path, *(chat(number, "x" * 2_000) for number in range(2_000)))
    async with convostore.open(path) as store:
        work = store.import_(source)
        await anext(work)
        assert isinstance(work._batches, Aside)
        assert work._batches._child is not None
        child = work._batches._child.pid
        await work.aclose()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


async def test_nothing_in_the_current_folder_is_executed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that lies where one stands is not taken for one of ours, and the child does read."""
    ran = tmp_path / "ran"
    for name in ("msgspec.py", "convostore.py", "sitecustomize.py"):
        (tmp_path / name).write_text(f"open({str(ran)!r}, 'w')\n")
    source = write(tmp_path, *map(chat, range(3)))
    monkeypatch.chdir(tmp_path)
    here: list[Any] = []
    results = await imported(path, source, lambda it: here.append(it._here))
    assert outcomes(results) == [("added", f"c{number}") for number in range(3)]
    assert here == [None]
    assert not ran.exists()
