"""Erasing an owner: everything of theirs goes, nothing of others, and the name can begin anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.errors import ConversationBusyError, NotFoundError
from convostore.events import Finished
from convostore.formats import jsonl
from convostore.records import ConversationRecord, Usage, UsageRecord
from tests import canaries
from tests.engines import rows

if TYPE_CHECKING:
    from convostore import Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where

OWNED = (
    *("conversation", "message", "journal", "remote_thread", "tag", "usage", "search_pending"),
    *("attachment", "attachment_chunk", "message_attachment", "message_search"),
)


@pytest.mark.asyncio
async def test_everything_of_one_owner_goes_and_nothing_of_another(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """Conversations, the bin, attachments, usage and the name; the scrubbed files have no word."""
    alice, bob = store.for_owner("alicexqz"), store.for_owner("bob")
    kept = await bob.create(title="bob's")
    await kept.append(Message.user("stays"))
    await canaries.spread(alice, provider)
    binned = await alice.create(title="in the bin")
    await binned.append(Message.user(f"binned {canaries.word('question')}"))
    await binned.delete()
    await alice.attach(b"referred to by nobody", name="loose.txt")
    report = await alice.erase_owner(scrub=True)
    assert (report.conversations, report.calls) == (2, 1)
    assert canaries.found(path) == set()
    ((bob_id,),) = rows(path, "SELECT id FROM owner")
    for table in OWNED:
        assert {row[0] for row in rows(path, f"SELECT owner_id FROM {table}")} <= {bob_id}
    assert [one.name for one in await store.owners()] == ["bob"]
    assert [one.text for one in await kept.history()] == ["stays"]
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_the_name_begins_anew_also_in_handles_that_knew_the_old_one(
    store: Store, path: Where
) -> None:
    """What another process stores afterwards is reachable under the name, not lost behind it."""
    async with convostore.open(path) as elsewhere:
        theirs = elsewhere.for_owner("alice")
        old = await theirs.create(title="old")
        await store.for_owner("alice").erase_owner(scrub=False)
        with pytest.raises(NotFoundError):
            await old.append(Message.user("to what is gone"))
        await theirs.create(title="new")
        page = await store.for_owner("alice").list()
        assert [record.title for record in page.items] == ["new"]
        assert [one.name for one in await store.owners()] == ["alice"]


@pytest.mark.asyncio
async def test_personal_owner_is_erased_like_others_and_made_again(store: Store) -> None:
    """Its name in the store's own table goes too."""
    await store.create(title="mine")
    assert [one.name for one in await store.owners()] == [None]
    assert (await store.erase_owner()).conversations == 1
    assert await store.owners() == ()
    assert (await store.list()).items == ()
    await store.create(title="again")
    assert len((await store.list()).items) == 1


@pytest.mark.asyncio
async def test_owner_stays_while_a_reply_runs_and_goes_with_the_next_try(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """The rest goes at once; what is being written is not torn away."""
    alice = store.for_owner("alice")
    chat, other = await alice.create(title="runs"), await alice.create(title="other")
    async with canaries.running_reply(chat, provider, path):
        with pytest.raises(ConversationBusyError, match="still being written"):
            await alice.erase_owner(scrub=True)
        assert not (await store.scrub()).was_owed  # of what went
        assert [record.title for record in (await alice.list()).items] == ["runs"]
    with pytest.raises(NotFoundError):
        await other.append(Message.user("gone"))
    assert (await alice.erase_owner(scrub=False)).conversations == 1
    assert (await alice.erase_owner(scrub=False)).conversations == 0


@pytest.mark.asyncio
async def test_export_of_an_owner_has_the_bin_and_what_was_paid_before(
    store: Store, provider: ScriptedProvider
) -> None:
    """All that erasing takes away is in the file that was made before."""
    provider.script("Hello", Finished(usage=Usage(input_tokens=7)))
    gone = await store.create(title="gone")
    await gone.send("Hi")
    await gone.purge()
    binned = await store.create(title="binned")
    await binned.append(Message.user("in the bin"))
    await binned.delete()
    await (await store.create(title="archived")).archive()
    pieces = await store.export(deleted=True)
    entries = list(jsonl.decode("".join([p async for p in pieces]).splitlines(keepends=True)))  # type: ignore[union-attr] # to nothing it is text
    titles = {one.title for one in entries if isinstance(one, ConversationRecord)}
    assert titles == {"binned", "archived"}
    paid = [
        one
        for one in entries
        if isinstance(one, jsonl.Owned) and isinstance(one.value, UsageRecord)
    ]
    assert [(one.conversation_id, one.value.usage.input_tokens) for one in paid] == [(gone.id, 7)]  # type: ignore[union-attr] # looked at above
    pieces = await store.export()
    text = "".join([piece async for piece in pieces])  # type: ignore[union-attr] # to nothing it is text
    assert "binned" not in text
    assert gone.id not in text
