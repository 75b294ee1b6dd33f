"""The verbs of a conversation that make branches, choose among them, and remove them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from convostore import clock
from convostore.errors import HeadMovedError, MessageNotFoundError
from convostore.ids import new_id
from convostore.pacing import turn_of
from convostore.revising import Editing, Regenerating, path_to
from convostore.storage import lookup, reads
from convostore.storage.branches import (
    MoveHead,
    RemoveBranch,
    StepBack,
    move_heads,
    remove_branches,
    step_back,
)
from convostore.storage.forks import Fork, fork_conversations
from convostore.storage.scrub_note import scrub_after
from convostore.text import gate_name
from convostore.tree import Tree
from convostore.turning.asking import Ask, who_answers
from convostore.turning.naming import number_of
from convostore.turning.place import Place, Placed
from convostore.turning.recovery import close_dead_replies

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import Message
    from convostore.storage.branches import Removed
    from convostore.storage.exchanges import OnMoved
    from convostore.tree import Branch
    from convostore.turn import Turn
    from convostore.views.window import Window


class Branching(Placed):
    """What a conversation can do with its branches; `Conversation` has these verbs.

    A message is named by its id, by its number, `Message.seq`, which `convostore tree` shows, or by
    the idempotency key with which it was stored.
    """

    def __init__(self, place: Place, provider: Provider | None) -> None:
        self._at = place
        self._provider = provider

    def regenerate(
        self,
        message: str | int | None = None,
        *,
        model: str | None = None,
        provider: Provider | None = None,
        settings: dict[str, Any] | None = None,
        wait_s: float | None = None,
        on_moved: OnMoved | None = None,
        every_s: float | None = None,
        window: Window | None = None,
    ) -> Turn:
        """Ask for another answer: `async with chat.regenerate() as turn`. The first one stays.

        The new answer is a sibling of those that are there, and the head. It is the retry of an
        answer that failed or broke off; where the far side turns out to have kept the whole of
        it, that is stored and yielded, and nothing is asked.

        Args:
            message: the question, or one of its answers; None is the question asked last.
            model: who answers now, and in the turns after it.
            provider: instead of the store's; it stays the caller's to close.
            settings: options for this turn, over the conversation's own.
            wait_s: how long to wait for a running reply; by default 60 with a key, else 0.
            on_moved: when the head has moved elsewhere: "branch" leaves it there, "follow" takes
                it to the new answer, "error" asks nothing.
            every_s: as in `Conversation.stream`.
            window: how much of the conversation the model is sent; by default as `window` says.

        Raises:
            ProviderError: what the provider says of its name or its limits is none.
            TurnStateError: neither the store nor the call has a provider.
        """
        ask = Ask(
            text="",
            model=model,
            settings=settings,
            wait_s=wait_s,
            on_moved=on_moved,
            window=window,
        )
        opening = Regenerating(ask, who_answers(provider, self._provider), message)
        return turn_of(self._place, opening, every_s)

    def edit(
        self,
        message: str | int,
        text: str,
        *,
        model: str | None = None,
        provider: Provider | None = None,
        settings: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
        author: str | None = None,
        author_id: str | None = None,
        wait_s: float | None = None,
        on_moved: OnMoved | None = None,
        every_s: float | None = None,
        window: Window | None = None,
    ) -> Turn:
        """Ask a question in other words: `async with chat.edit(message, text) as turn`.

        The new question is a sibling of the first one, which stays with all that followed it; its
        answer is the head.

        Args:
            message: the question to ask in other words; by its idempotency key, the newest of its
                wordings. Then the same words are asked once, and need no key of their own.
            text: those words, up to 16 MiB.
            model: who answers now, and in the turns after it.
            provider: instead of the store's; it stays the caller's to close.
            settings: options for this turn, over the conversation's own.
            idempotency_key: a repeat with the same key asks only once.
            author: who asks, where a room has several people.
            author_id: who that is, by an id that stays when names change; see `Store.forget`.
            wait_s: how long to wait for a running reply; by default 60 with a key, else 0.
            on_moved: as in `regenerate`.
            every_s: as in `Conversation.stream`.
            window: as in `regenerate`.

        Raises:
            ProviderError: what the provider says of its name or its limits is none.
            TurnStateError: neither the store nor the call has a provider.
        """
        ask = Ask(
            text=text,
            author=author,
            author_id=author_id,
            model=model,
            settings=settings,
            idempotency_key=idempotency_key,
            wait_s=wait_s,
            on_moved=on_moved,
            window=window,
        )
        opening = Editing(ask, who_answers(provider, self._provider), message)
        return turn_of(self._place, opening, every_s)

    async def switch(self, message: str | int, *, exactly: bool = False) -> Message:
        """Make a message's branch the active one, here and for whoever resumes, and return its head.

        The conversation goes on below the newest message of that branch. Nothing else changes; its
        place in lists stays.

        Args:
            message: any message of the branch.
            exactly: stand at this very message; what follows it becomes another branch.

        Raises:
            MessageNotFoundError: the conversation has no such message.
            ConversationNotFoundError: the conversation is gone, or in the bin.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        await place.settled()
        where = (place.database, place.owner_id, place.record.id)
        seq = await number_of(place, message)
        if not exactly:
            seq = await reads.leaf_below(*where, seq)
        job = MoveHead(conversation_id=place.record.id, head_seq=seq)
        place.changed(await place.database.write(move_heads, place.owner_id, job))
        place.remote, place.home_url, place.compacted = await reads.far_side(*where, seq)
        return (await reads.path(*where, seq))[-1]

    async def back(self) -> Message | None:
        """Stand at the message above the head, for whoever resumes too; return the one left.

        Nothing is removed: the message stays, on a branch of its own once something else is said.
        Of callers who do so at the same time each leaves another message. None is nothing there.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        await place.settled()
        where = (place.database, place.owner_id, place.record.id)
        while True:
            record = await lookup.conversation_by_id(*where)
            seq = record.head_seq
            if seq is None:
                place.record, place.head_seq, place.remote = record, None, None
                return None
            left = await reads.messages_between(*where, after=seq - 1, last=seq, most=1)
            job = StepBack(conversation_id=record.id, head_seq=seq)
            with suppress(HeadMovedError):  # somebody was faster: from there, then
                place.changed(await place.database.write(step_back, place.owner_id, job))
                place.remote, place.home_url, place.compacted = await reads.far_side(
                    *where, place.head_seq
                )
                return left[0]

    async def rewind(self) -> None:
        """Stand before the first message, for whoever resumes too: what is said next begins anew.

        Nothing is removed: all that was said is a branch beside it.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        await place.settled()
        job = MoveHead(conversation_id=place.record.id, head_seq=None)
        place.changed(await place.database.write(move_heads, place.owner_id, job))

    async def tree(self) -> Tree:
        """Read all messages, as the tree that they are; its head is where this caller stands.

        Raises:
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        place = self._place
        where = (place.database, place.owner_id, place.record.id)
        messages = await reads.messages_between(
            *where, after=0, last=reads.MOST_SEQ, most=reads.MOST_SEQ
        )
        return Tree(messages, place.head_seq)

    async def branches(self) -> tuple[Branch, ...]:
        """List the ways through the conversation, in order of their last messages.

        Raises:
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        return (await self.tree()).branches()

    async def siblings(self, message: str | int | None = None) -> tuple[Message, ...]:
        """List the messages with the same parent as one, itself among them, oldest first.

        Args:
            message: None is the head; `siblings.index(...)` then tells which of them it is.

        Raises:
            MessageNotFoundError: the conversation has no such message.
            ConversationNotFoundError: the conversation was purged.
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        place = self._place
        path = await path_to(place, message)
        if not path:
            return ()
        where = (place.database, place.owner_id, place.record.id)
        if len(path) > 1:
            return await reads.answers(*where, path[-2].seq)
        return (await self.tree()).roots

    async def fork(self, message: str | int | None = None, *, title: str | None = None) -> Self:
        """Make a conversation of its own that begins as this one did, and return it.

        It has copies of the messages from the root to one of them, with ids of their own, and
        says in `source_id` where it came from. The far side knows nothing of it: its first turn
        tells the far side the earlier messages as text. Tags and folder come along, the pin does
        not. Usage stays counted once, here.

        Args:
            message: the last message to copy; None is the head.
            title: None is the same title.

        Raises:
            MessageNotFoundError: the conversation has no such message, or is empty.
            ConversationNotFoundError: the conversation is gone, or in the bin.
            ConversationBusyError: the message is a reply that is still running.
            InvalidTextError: the title is blank, longer than 200 characters, or cannot be stored.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        await place.settled()
        await close_dead_replies(place.database, place.owner_id)
        at = place.head_seq if message is None else message
        if at is None:
            raise MessageNotFoundError(
                "there is no message to copy yet", hint="ask a question first"
            )
        job = Fork(
            conversation_id=place.record.id,
            message_seq=await number_of(place, at),
            id=new_id(),
            title=None if title is None else gate_name(title, "the title"),
            anonymous_user_id=str(uuid4()),
            now_ms=clock.now_ms(),
        )
        id_ = await place.database.write(fork_conversations, place.owner_id, job)
        record = await lookup.conversation_by_id(place.database, place.owner_id, id_)
        new = Place(place.opened, place.owner_id, record, None, None, fleeting=place.fleeting)
        return type(self)(new, self._provider)

    async def delete_branch(self, message: str | int, *, scrub: bool | None = None) -> int:
        """Remove a message and all that follows it, for good; return how many messages went.

        There is no way back: only whole conversations have a bin. Where the conversation stood on
        that branch, it then stands at the newest message beside it, else at the one above. What
        the model calls cost stays counted.

        Args:
            message: the uppermost message to go.
            scrub: get it out of the store's files too, as `Store.scrub` does; by default for a
                file, and not on a server.

        Raises:
            MessageNotFoundError: the conversation has no such message.
            ConversationNotFoundError: the conversation is gone, or in the bin.
            ConversationBusyError: a reply of that branch is still running.
            StoreBusyError: from scrubbing: the branch is gone, but others kept traces of it in the
                file.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        await place.settled()
        where = (place.database, place.owner_id, place.record.id)
        job = RemoveBranch(
            conversation_id=place.record.id,
            message_seq=await number_of(place, message),
            now_ms=clock.now_ms(),
        )
        removed: Removed = await place.database.write(remove_branches, place.owner_id, job)
        stood = place.head_seq
        place.changed(removed.change)
        if stood is not None and stood not in removed.seqs:
            place.head_seq = stood
        place.remote, place.home_url, place.compacted = await reads.far_side(*where, place.head_seq)
        await scrub_after(place.database, scrub)
        return len(removed.seqs)
