"""An id is not a credential: no verb reaches what belongs to somebody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import ConversationNotFoundError, ConvostoreError
from convostore.records import Message
from convostore.storage import dossiers, reads
from convostore.storage.adopting import Adopt, adopt_replies
from convostore.storage.appends import Append, append_messages
from convostore.storage.endings import finish_turns
from convostore.storage.exchanges import BeginTurn, FinishTurn, NewMessage
from convostore.storage.journal import DeadReply, Flush, flush_journals, interrupt_replies
from convostore.storage.leases import new_lease
from convostore.storage.turns import begin_turns
from convostore.testing import ScriptedProvider
from convostore.turning.place import Place

if TYPE_CHECKING:
    from pathlib import Path

    from convostore import Conversation, Store
    from tests.engines import Where


async def secrets(store: Store) -> Conversation:
    """Make alice's conversation, with a key."""
    chat = await store.for_owner("alice").create(title="alice's", key="room", system="secret")
    await chat.append(Message.user("my secret"), Message.assistant("kept"))
    return chat


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["id", "key", "handle", "prefix", "@", "@1"])
@pytest.mark.parametrize("other", ["bob", None])
async def test_no_reference_finds_another_owners_conversation(
    store: Store, how: str, other: str | None, tmp_path: Path
) -> None:
    """By id, key, handle, its beginning, or place in the list: it is as if it were not there."""
    chat = await secrets(store)
    ref = {"id": chat.id, "key": "room", "handle": chat.handle, "prefix": chat.handle[:4]}.get(how)
    mine = store.for_owner(other) if other else store
    for _ in range(2):
        for verb in (mine.find, mine.resume):
            with pytest.raises(ConversationNotFoundError):
                await verb(ref or how)
        with pytest.raises(ConversationNotFoundError):
            await mine.export(ref or how, to=tmp_path / "out.jsonl")
        await mine.get_or_create("other")
        if how.startswith("@"):
            break  # now there is one of bob's own
    titles = [one.title for one in (await mine.list()).items]
    assert titles == [None]


@pytest.mark.asyncio
async def test_two_owners_may_use_the_same_key(store: Store) -> None:
    """A key is a name within one owner, and so is an idempotency key."""
    alice = await store.for_owner("alice").get_or_create("room")
    bob = await store.for_owner("bob").get_or_create("room")
    assert alice.id != bob.id
    assert (await store.for_owner("alice").resume("room")).id == alice.id


@pytest.mark.asyncio
async def test_every_write_to_another_owners_conversation_is_refused(path: Where) -> None:
    """With every id known, no write of another owner changes a row."""
    async with convostore.open(path, provider=ScriptedProvider()) as store:
        chat = await secrets(store)
        before = await chat.messages()
        bob = await store.for_owner("bob").create()
        database = bob._place.database
        place = Place(bob._place.opened, bob._place.owner_id, chat.record, None, None)
        stolen = type(chat)(place, ScriptedProvider())
        with pytest.raises(ConversationNotFoundError):
            await stolen.append(Message.user("forged"))
        with pytest.raises(ConversationNotFoundError):
            await stolen.send("forged", wait_s=0)
        reply = NewMessage(id="x", role="assistant", text="", status="streaming", lease="l")
        lease = new_lease("token", 1)
        end = FinishTurn(
            conversation_id=chat.id,
            message_seq=3,
            token="",
            spare_id="spare",
            call_id="call",
            status="stopped",
            text="forged",
            shape=None,
            now_ms=1,
        )
        begin = BeginTurn(
            conversation_id=chat.id,
            head_seq=3,
            on_moved="follow",
            one_at_a_time=False,
            user=None,
            reply=reply,
            now_ms=1,
        )
        adopt = Adopt(
            conversation_id=chat.id, broken_seq=3, id="y", text="forged", shape=None, now_ms=1
        )
        flush = Flush(conversation_id=chat.id, message_seq=3, lease=lease, rows=((0, "text", "f"),))
        append = Append(conversation_id=chat.id, messages=(reply,), now_ms=1)
        dead = DeadReply(conversation_id=chat.id, message_seq=3, now_ms=1)
        for function, job in (
            (begin_turns, begin),
            (finish_turns, end),
            (adopt_replies, adopt),
            (append_messages, append),
        ):
            with pytest.raises(ConvostoreError):
                await database.write(function, place.owner_id, job)
        assert not await database.write(flush_journals, place.owner_id, flush)
        assert not await database.write(interrupt_replies, place.owner_id, dead)
        assert await chat.messages() == before


@pytest.mark.asyncio
async def test_every_read_of_another_owners_conversation_is_empty(store: Store) -> None:
    """With every id known, no reading function returns another owner's rows."""
    chat = await secrets(store)
    bob = await store.for_owner("bob").create()
    at = (bob._place.database, bob._place.owner_id)
    ids = (await chat.messages())[1].id
    assert await reads.messages_between(*at, chat.id, after=0, last=99, most=99) == ()
    assert await reads.answers(*at, chat.id, 1) == ()
    assert await reads.seq_of(*at, chat.id, ids) is None
    assert await reads.remote_of(*at, chat.id, 3) is None
    assert await dossiers.dossiers(*at, [chat.id]) == ()
    assert await reads.running_replies(*at) == []
    assert await dossiers.conversation_ids(*at, None, 99) == (bob.id,)


@pytest.mark.asyncio
async def test_an_owner_is_made_once_by_many_at_once(store: Store) -> None:
    """Ten first writes of a new owner make one owner, and reading makes none."""
    assert (await store.for_owner("carol").list()).items == ()
    await asyncio.gather(*(store.for_owner("carol").create() for _ in range(10)))
    assert len((await store.for_owner("carol").list()).items) == 10
    assert (await store.list()).items == ()
