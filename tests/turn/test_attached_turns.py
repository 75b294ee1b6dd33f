"""Questions with attachments: on disk before they are asked, and sent to whoever takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.errors import (
    AttachmentError,
    AttachmentNotFoundError,
    AttachmentRefusedError,
    DuplicateKeyError,
)
from convostore.parts import AttachmentPart, TextPart
from convostore.providers import Echo
from convostore.providers.provider import ChatMessage, TakesAttachments
from convostore.testing import ScriptedProvider
from tests.engines import rows

if TYPE_CHECKING:
    from pathlib import Path

    from convostore import Conversation, Store
    from convostore.providers.provider import ChatRequest
    from tests.engines import Where


class Seeing(ScriptedProvider):
    """A scripted provider that takes attachments, or says why not."""

    refused: AttachmentRefusedError | None = None

    async def check_attachments(self, request: ChatRequest) -> None:
        """Raise what it was told to."""
        if self.refused is not None:
            raise self.refused


@pytest.mark.asyncio
async def test_attachments_go_with_the_question_and_are_read_by_the_provider(
    store: Store, chat: Conversation, tmp_path: Path
) -> None:
    """Whatever they are given as; later turns carry them too, and so do both objects' histories."""
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    stored = await store.attach(b"hello", name="hello.txt")
    reply = await chat.send(
        "Look", attachments=[tmp_path / "cat.png", b"raw", stored], provider=Echo()
    )
    assert reply.text.splitlines() == [
        "You said: Look",
        "(Attached: cat.png, image/png, 4 bytes.)",
        (
            f"(Attached: {chat_part(await chat.history(), 1).sha256[:12]}, "
            "application/octet-stream, 3 bytes.)"
        ),
        "(Attached: hello.txt, text/plain, 5 bytes.)",
    ]
    question = (await chat.history())[0]
    assert question.parts[2:] == (stored, TextPart("Look"))
    seeing = Seeing()
    seeing.answer("yes")
    await chat.send("And now?", provider=seeing)
    (asked,) = seeing.requests
    assert asked.messages[0].attachments == question.parts[:3]
    assert b"".join([piece async for piece in asked.content(stored)]) == b"hello"
    assert (await store.resume(chat.id)).record.head_seq == 4


def chat_part(path: tuple[Message, ...], number: int) -> AttachmentPart:
    """Return one of the attachments of the first message."""
    part = path[0].parts[number]
    assert isinstance(part, AttachmentPart)
    return part


@pytest.mark.asyncio
async def test_refusal_comes_before_anything_is_stored(
    store: Store, chat: Conversation, provider: ScriptedProvider, path: Where, tmp_path: Path
) -> None:
    """By a provider that takes none, by one that takes not these; a file that is not there, too."""
    assert not isinstance(provider, TakesAttachments)
    with pytest.raises(AttachmentRefusedError, match="scripted takes no attachments"):
        await chat.send("Look", attachments=[b"x"])
    seeing = Seeing(name="seeing")
    seeing.refused = AttachmentRefusedError("only images", provider="seeing")
    with pytest.raises(AttachmentRefusedError, match="only images"):
        await chat.send("Look", attachments=[b"x"], provider=seeing)
    with pytest.raises(AttachmentError, match="No such file"):
        await chat.send("Look", attachments=[tmp_path / "none"], provider=Echo())
    gone = await store.for_owner("alice").attach(b"hers")
    with pytest.raises(AttachmentNotFoundError):
        await chat.send("Look", attachments=[gone], provider=Echo())
    assert await chat.messages() == ()
    assert rows(path, "SELECT count(*) FROM message_attachment") == [(0,)]
    assert provider.calls == seeing.calls == []


@pytest.mark.asyncio
async def test_who_takes_no_attachments_is_asked_without_the_earlier_ones(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The record keeps them; a message that was nothing else is left out of the view."""
    file = await _attached(chat)
    await chat.append(Message.user("", attachments=[file]), Message.assistant("and this"))
    provider.answer("fine")
    await chat.send("And you?")
    assert provider.requests[0].messages == (
        ChatMessage("user", "See"),
        ChatMessage("assistant", "I see\n\nand this"),
        ChatMessage("user", "And you?"),
    )
    assert (await chat.history())[0].parts == (file, TextPart("See"))


async def _attached(chat: Conversation) -> AttachmentPart:
    await chat.send("See", attachments=[b"x"], provider=_seeing("I see"))
    return chat_part(await chat.history(), 0)


def _seeing(*answers: str) -> Seeing:
    seeing = Seeing()
    for answer in answers:
        seeing.answer(answer)
    return seeing


@pytest.mark.asyncio
async def test_another_answer_and_other_words_keep_what_is_attached(
    chat: Conversation, path: Where
) -> None:
    """Both ask with it; whoever takes none cannot be asked this question."""
    file = await _attached(chat)
    seeing = _seeing("again", "other")
    async with chat.regenerate(provider=seeing) as turn:
        await turn.drain()
    async with chat.edit(1, "See here", provider=seeing) as turn:
        await turn.drain()
    assert [request.messages[-1] for request in seeing.requests] == [
        ChatMessage("user", "See", (file,)),
        ChatMessage("user", "See here", (file,)),
    ]
    assert turn.user.parts == (file, TextPart("See here"))
    assert rows(path, "SELECT count(*) FROM message_attachment") == [(2,)]
    with pytest.raises(AttachmentRefusedError, match="takes no attachments"):
        async with chat.regenerate(1):
            pass
    await chat.delete_branch(1)
    assert rows(path, "SELECT count(*) FROM message_attachment") == [(1,)]


@pytest.mark.asyncio
async def test_repeat_with_the_same_key_has_the_same_attachments(chat: Conversation) -> None:
    """Then it asks nobody; with others it is another question."""
    seeing = _seeing("once")
    for _ in range(2):
        reply = await chat.send("q", attachments=[b"x"], provider=seeing, idempotency_key="k")
        assert reply.text == "once"
    for others in ([], [b"y"], [b"x", b"x"]):
        with pytest.raises(DuplicateKeyError):
            await chat.send("q", attachments=others, provider=seeing, idempotency_key="k")
    assert len(seeing.calls) == 1
