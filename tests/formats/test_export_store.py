"""Exports of a real store: complete, without secrets, while it is being used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore.errors import ConversationNotFoundError
from convostore.exchange.counted import ExportReport
from convostore.formats import jsonl
from convostore.parts import ReasoningPart, TextPart
from convostore.providers import Playground
from convostore.records import ConversationRecord, Message
from convostore.testing import (
    PlaygroundServer,
    ScriptedProvider,
    Think,
    temporary_store,
)

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.exchange.exporting import TextExport

pytestmark = pytest.mark.usefixtures("temporary_place")


async def text_of(exported: TextExport | ExportReport) -> str:
    """Join what an export yields."""
    assert not isinstance(exported, ExportReport)
    return "".join([piece async for piece in exported])


def entries(text: str) -> list[jsonl.Entry]:
    """Read an export back."""
    return list(jsonl.decode(text.removesuffix("\n").split("\n")))


@pytest.mark.asyncio
async def test_export_holds_what_the_store_holds(tmp_path: Path) -> None:
    """Conversation and messages read back equal to what the store itself hands out."""
    async with (
        PlaygroundServer() as server,
        temporary_store(Playground(server.url)) as store,
    ):
        server.script(Think("Hm."), "Three ", "days.")
        chat = await store.create(
            model="qwen3-openai", key="telegram:42", metadata={"b": [1, None]}
        )
        await chat.send("Plan", idempotency_key="update-7")
        await chat.append(Message.user("And now?"), Message.assistant("Now this."))
        secrets = [chat.anonymous_user_id, *server.messages]
        text = await text_of(await store.export())
        back = entries(text)
        record = next(one for one in back if isinstance(one, ConversationRecord))
        messages = [
            one.value
            for one in back
            if isinstance(one, jsonl.Owned) and isinstance(one.value, Message)
        ]
        assert messages == list(await chat.messages())
        stored = await store.find(chat.id)
        assert record.handle == stored.handle
        assert (record.metadata, record.key) == ({"b": [1, None]}, "telegram:42")
        assert messages[1].parts == (ReasoningPart("Hm."), TextPart("Three days."))
        assert messages[0].idempotency_key is not None
        assert all(secret and secret not in text for secret in secrets)
        assert '"server_url":"' + server.url in text


@pytest.mark.asyncio
async def test_running_reply_is_exported_as_far_as_it_is(tmp_path: Path) -> None:
    """What is in the journal is in the export, marked as still running."""
    provider = ScriptedProvider()
    provider.script("half" * 2_000, provider.gate("rest"), " whole")
    async with temporary_store(provider) as store:
        chat = await store.create()
        async with chat.stream("Count") as turn:
            await anext(turn)
            page = ""
            async with asyncio.timeout(10):  # the first 4 KiB are flushed at once, not in no time
                while "half" not in page:
                    page = await text_of(await store.export(chat.handle, format="markdown"))
    assert "half" * 2_000 in page
    assert page.endswith("*(still being written when this was exported)*\n")


@pytest.mark.asyncio
async def test_other_owners_conversations_are_not_exported(tmp_path: Path) -> None:
    """All means all of this owner's, and no id opens another's."""
    async with temporary_store() as store:
        mine = await store.create(title="Mine")
        alice = store.for_owner("alice")
        hers = await alice.create(title="Hers")
        assert "Hers" not in await text_of(await store.export())
        with pytest.raises(ConversationNotFoundError):
            await text_of(await store.export(hers.id))
        report = await alice.export(format="markdown", to=tmp_path / "notes")
        assert isinstance(report, ExportReport)
        assert [file.name for file in report.path.iterdir()] == [f"hers-{hers.handle}.md"]
        assert mine.id not in (report.path / f"hers-{hers.handle}.md").read_text()
