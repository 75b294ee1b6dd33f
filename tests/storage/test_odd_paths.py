"""Names that no store can have: one clear error, whatever is opened, copied or restored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import StoreOpenError
from convostore.store import restore, upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD = [
    "nul\x00.db",
    "half\ud800.db",
    "x" * 300,
    "x" * 250,  # the file may be called so, but not its log
    "y" * 5000 + "/chats.db",
    "loop",
    "loop/chats.db",
    "file/chats.db",
    "~nobody-of-that-name/chats.db",
    ":memory:",
    "",
    b"bytes",
    5,
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with a link to itself and a file."""
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").write_text("a file")
    yield tmp_path
    assert sorted(one.name for one in tmp_path.iterdir() if "chats.db" not in one.name) == [
        "file",
        "loop",
    ]


def of_one_line(error: StoreOpenError) -> bool:
    """Tell whether an error can be shown as it is."""
    return error.message.isprintable() and bool(error.hint)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ODD)
@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
async def test_a_store_of_an_odd_name_is_refused(url: object, prefix: str) -> None:
    """NUL, half a character, too long, in a circle, through a file, nobody's home, no file at all."""
    if prefix and not isinstance(url, str):
        return
    where = prefix + url if prefix and isinstance(url, str) else url
    with pytest.raises(StoreOpenError) as caught:
        await convostore.open(where)  # type: ignore[arg-type]  # what a caller may get wrong
    assert of_one_line(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", [one for one in ODD if isinstance(one, str) and one])
async def test_an_odd_name_is_refused_as_a_path_too(url: str) -> None:
    """It makes no difference whether the caller has made a path of it."""
    with pytest.raises(StoreOpenError) as caught:
        await convostore.open(Path(url))
    assert of_one_line(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ODD)
async def test_other_verbs_refuse_odd_names_too(url: object) -> None:
    """Upgrade, restore and backup: from an odd place, and to one."""
    odd: str = url  # type: ignore[assignment]  # what a caller may get wrong
    with pytest.raises(StoreOpenError) as caught:
        await upgrade(odd)
    assert of_one_line(caught.value)
    with pytest.raises(StoreOpenError) as caught:
        await restore(odd, Path("file"))
    assert of_one_line(caught.value)
    async with convostore.open("chats.db") as store:
        if url != ":memory:":  # a name as any other for a copy
            with pytest.raises(StoreOpenError) as caught:
                await store.backup(odd)
            assert of_one_line(caught.value)
    with pytest.raises(StoreOpenError) as caught:
        await restore("chats.db", odd)
    assert of_one_line(caught.value)


@pytest.mark.asyncio
async def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell would have it, where no shell has read the name."""
    monkeypatch.setenv("HOME", str(folder / "chats.db-home"))
    async with convostore.open("~/kept/chats.db") as store:
        assert store.path == folder / "chats.db-home" / "kept" / "chats.db"
    assert store.path.is_file()
