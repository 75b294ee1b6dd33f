"""Words put into every place of a conversation that takes text, and looking for them in files."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convostore.errors import ProviderConnectError
from convostore.events import ReasoningDelta, RemoteUpdate
from convostore.parts import ReasoningPart, TextPart
from convostore.records import Message, RemoteThread
from convostore.testing.steps import Fail, Silence
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where

PLACES = (
    *("title", "key", "system", "settings", "metadata", "tag", "folder"),
    *("question", "answer", "reasoning", "author", "once", "error", "partial", "journal", "remote"),
    *("attached", "filename"),
)


def word(place: str) -> str:
    """Return the word of a place; no stemmer shortens it, and none begins as another."""
    return f"{place}xqz"


async def spread(
    store: Store, provider: ScriptedProvider, *, ephemeral: bool = False
) -> Conversation:
    """Make a conversation with a word in every place; its last reply is one that has broken off."""
    chat = await store.create(
        title=f"On {word('title')}",
        key=f"bot:{word('key')}",
        system=f"be {word('system')}",
        settings={"stop": word("settings")},
        metadata={"note": word("metadata")},
        ephemeral=ephemeral,
    )
    await chat.tag(word("tag"))
    await chat.move(word("folder"))
    thought = ReasoningPart(f"thinking {word('reasoning')}")
    said = TextPart(f"saying {word('answer')}")
    content, name = word("attached").encode(), word("filename")
    file = await store.attach(content, name=name, ephemeral=ephemeral)
    asked = f"about {word('question')}"
    await chat.append(
        Message.user(asked, author=word("author"), attachments=[file]),
        Message.assistant(said.text, parts=(thought, said)),
    )
    thread = RemoteThread(server_url="https://far", dialect="x", remote_id=word("remote"))
    gone = ProviderConnectError(f"lost {word('error')}", provider="scripted")
    provider.script(RemoteUpdate(thread), f"half {word('partial')}", Fail(gone))
    with suppress(ProviderConnectError):
        await chat.send("once", idempotency_key=word("once"))
    await store.search(word("question"))
    return chat


@asynccontextmanager
async def running_reply(
    chat: Conversation, provider: ScriptedProvider, where: Where
) -> AsyncIterator[None]:
    """Run a reply that says a word and then nothing more; it is in the journal when this begins."""
    provider.script(ReasoningDelta("hm"), f"saying {word('journal')}", Silence())

    async def run() -> None:
        async with chat.stream("go on") as turn:
            await turn.drain()

    running = asyncio.create_task(run())
    while not rows(where, "SELECT 1 FROM journal WHERE kind = 'text'"):
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})
        with suppress(asyncio.CancelledError):
            running.exception()


def strand(where: Where) -> None:
    """Make every running reply one whose writer is dead."""
    change(where, "UPDATE message SET lease = 'x|x|x|1|1|0' WHERE status = 'streaming'")


def found(where: Where) -> set[str]:
    """Return the places whose words are in any byte of the store's files, its log included."""
    return among(where, PLACES)


def among(where: Where, places: Iterable[str]) -> set[str]:
    """Return those of *places* whose words are in any byte of the store's files."""
    hay = _bytes(where)
    return {place for place in places if word(place).encode() in hay}


def holds(where: Where, secret: str) -> bool:
    """Tell whether *secret* is in any byte of the store's files, in capitals or not."""
    return secret.lower().encode() in _bytes(where)


def _bytes(where: Where) -> bytes:
    if isinstance(where, Path):
        return b"\0".join(_read(one) for one in where.parent.iterdir())
    rows(where, "SELECT 1")
    change(where, "CHECKPOINT")
    ((data,),) = rows(where, "SHOW data_directory")
    ((number,),) = rows(
        where, "SELECT CAST(oid AS TEXT) FROM pg_database WHERE datname = current_database()"
    )
    files = [one for part in (f"base/{number}", "global") for one in Path(data, part).iterdir()]
    return b"\0".join(_read(one) for one in files)


def _read(file: Path) -> bytes:
    return file.read_bytes().lower() if file.is_file() else b""
