"""A conversation: the live object with the verbs."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from convostore import clock
from convostore.branching import Branching
from convostore.deleting import Deleting
from convostore.errors import ConversationNotFoundError, MessageNotFoundError
from convostore.keeping import Keeping
from convostore.ordering import Ordering
from convostore.pacing import turn_of
from convostore.remembering import Remembering
from convostore.renewing import Renewing
from convostore.revising import Proceeding
from convostore.storage import lookup, reads
from convostore.storage.appends import ANY_HEAD, Append, Appended, append_messages
from convostore.text import fallback_title
from convostore.turning.appending import new_messages, stored
from convostore.turning.asking import Ask, who_answers
from convostore.turning.lines import in_line, when_free
from convostore.turning.naming import message_of
from convostore.turning.opening import Opening
from convostore.turning.recovery import close_dead_replies
from convostore.turning.rooms import in_room, whereabouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.carrying import Source
    from convostore.parts import AttachmentPart
    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord, Message
    from convostore.storage.exchanges import NewMessage, OnMoved
    from convostore.turn import Turn
    from convostore.turning.place import Place
    from convostore.views.window import Window

ANYWHERE: Final = ""  # no message has an empty id


class Conversation(Branching, Ordering, Deleting, Keeping, Renewing, Remembering):
    """A titled tree of messages, and where this caller stands in it.

    Every verb that writes has its text on disk when it returns. Two objects of the same
    conversation, here or in other processes, each keep their own head: when the stored head has
    moved, `stream` and `send` go on as a sibling branch, so that nothing is lost; a conversation
    with a key goes on at the new head, one turn at a time, and where somebody has begun its room
    anew (`reset`), in the new conversation: that is this object's then.
    """

    def __repr__(self) -> str:
        """Show the handle and title, and no secrets."""
        return f"<Conversation {self.handle} {self.title!r}>"

    @property
    def record(self) -> ConversationRecord:
        """The conversation as last seen; replaced after each verb."""
        return self._place.record

    @property
    def id(self) -> str:
        """The id: a UUIDv7, the same for ever."""
        return self.record.id

    @property
    def handle(self) -> str:
        """The short name that people type."""
        return self.record.handle

    @property
    def key(self) -> str | None:
        """The name that a program gave it."""
        return self.record.key

    @property
    def title(self) -> str | None:
        """What lists show."""
        return self.record.title

    @property
    def model(self) -> str | None:
        """The model of the next turn."""
        return self.record.model

    @property
    def anonymous_user_id(self) -> str | None:
        """Who the far side thinks we are; a secret."""
        return self.record.anonymous_user_id

    @property
    def parent_id(self) -> str | None:
        """The remote id to continue from; a secret. None when the far side keeps nothing."""
        return self._place.remote.remote_id if self._place.remote else None

    def stream(
        self,
        text: str,
        *,
        attachments: Sequence[Source | AttachmentPart] = (),
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
        """Ask, and stream the answer: `async with chat.stream(text) as turn`.

        Nothing happens before the turn is entered.

        Args:
            text: the question, up to 16 MiB.
            attachments: paths, bytes, async iterators of bytes, or what `Store.attach` returned;
                on disk before the question is. A provider that takes none refuses them.
            model: for this turn and those after it.
            provider: instead of the store's; it stays the caller's to close.
            settings: options for this turn, over the conversation's own.
            idempotency_key: a repeat with the same key asks only once.
            author: who asks, where a room has several people.
            author_id: who that is, by an id that stays when names change; see `Store.forget`.
            wait_s: how long to wait for a running reply; by default 60 with a key, else 0.
            on_moved: when the head has moved elsewhere: "branch" off, "follow" it, or "error".
            every_s: for replies that are edited in place: each item is a TextDelta with the whole
                text so far, at most one in so many seconds; the last one is the whole answer.
            window: how much of the conversation the model is sent; by default as `window` says.

        Raises:
            ProviderError: what the provider says of its name or its limits is none.
            TurnStateError: neither the store nor the call has a provider.
        """
        ask = Ask(
            text=text,
            attachments=tuple(attachments),
            author=author,
            author_id=author_id,
            model=model,
            settings=settings,
            idempotency_key=idempotency_key,
            wait_s=wait_s,
            on_moved=on_moved,
            window=window,
        )
        opening = Opening(ask, who_answers(provider, self._provider))
        return turn_of(self._place, opening, every_s)

    async def send(
        self,
        text: str,
        *,
        attachments: Sequence[Source | AttachmentPart] = (),
        model: str | None = None,
        provider: Provider | None = None,
        settings: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
        author: str | None = None,
        author_id: str | None = None,
        wait_s: float | None = None,
        on_moved: OnMoved | None = None,
        window: Window | None = None,
    ) -> Message:
        """Ask, wait for the whole answer, and return it as stored. Arguments as in `stream`.

        Raises:
            ProviderError: the far side failed; what arrived is stored and in `.reply`.
            ContextLengthError: the question alone is larger than the window; nothing is stored.
            ConversationBusyError: another reply runs, and still did after `wait_s`.
            HeadMovedError: the head moved, and `on_moved` is "error".
            DuplicateKeyError: the idempotency key belongs to another text.
            ConversationNotFoundError: the conversation is gone.
            InvalidTextError: the text, or what goes with it, cannot be stored.
            AttachmentError: an attachment cannot be read, or is too large.
            AttachmentNotFoundError: it is not there any more.
            StoreError: the store cannot be read or written.
            TurnStateError: neither the store nor the call has a provider, or the store was closed
                before the turn began.
            StoreClosedError: the store is closed.
        """
        turn = self.stream(
            text,
            attachments=attachments,
            model=model,
            provider=provider,
            settings=settings,
            idempotency_key=idempotency_key,
            author=author,
            author_id=author_id,
            wait_s=wait_s,
            on_moved=on_moved,
            window=window,
        )
        async with turn:
            return await turn.drain()

    def proceed(
        self,
        *,
        below: str | int | None = None,
        model: str | None = None,
        provider: Provider | None = None,
        settings: dict[str, Any] | None = None,
        wait_s: float | None = None,
        window: Window | None = None,
    ) -> Turn:
        """Let the model answer what was appended: `async with chat.proceed() as turn`.

        For what a tool answered (`Message.tool`), or a question that came by `append`: no new one
        is added. `turn.user` is the message that is answered. A message is answered once: where
        it has its answer, or is being answered, that one is yielded and the model is not asked;
        an answer that failed or broke off is made anew, beside it.

        Args:
            below: the message to be answered, by its id, number or idempotency key; by default
                what this object has appended last, if that has no answer, else what was said last.
                Where others have gone on meanwhile, its answer is a branch beside theirs.
            model: for this turn and those after it.
            provider: instead of the store's; it stays the caller's to close.
            settings: options for this turn, over the conversation's own.
            wait_s: how long to wait for a running reply; by default 60 with a key, else 0.
            window: how much of the conversation the model is sent; by default as `window` says.

        Raises:
            ProviderError: what the provider says of its name or its limits is none.
            TurnStateError: neither the store nor the call has a provider.
        """
        ask = Ask(text="", model=model, settings=settings, wait_s=wait_s, window=window)
        opening = Proceeding(ask, who_answers(provider, self._provider), below)
        return turn_of(self._place, opening, None)

    async def append(
        self,
        *messages: Message,
        expected_head: str | None = ANYWHERE,
        wait_s: float | None = None,
    ) -> tuple[Message, ...]:
        """Store finished messages one below the other, in one transaction, and stand at the last.

        For those who talk to the model themselves. Repeating an append of the same message
        objects is safe: it stores them once. So is one of new objects, where one of them has the
        same `idempotency_key`, which holds within the conversation.

        Args:
            messages: made with `Message.user`, `.assistant` or `.system`; roles, texts, parts,
                authors and models are kept, ids too. A tool call has an id.
            expected_head: the id of the message that must be the head; None is an empty
                conversation. Without it, the append goes on wherever the conversation stands.
            wait_s: how long to wait for a running reply; by default 60 with a key, else 0.

        Raises:
            HeadMovedError: the head is another one; nothing was stored.
            ConversationBusyError: a reply is running at the head, and still did after `wait_s`.
            DuplicateKeyError: a message of the same id, or an append with the same idempotency
                key, has another text.
            ConversationNotFoundError: the conversation is gone.
            MessageNotFoundError: there is no message *expected_head*.
            InvalidTextError: a message or a field of it cannot be stored; the error names it.
            StoreBusyError: others held the store all the time; nothing was stored.
            StoreFullError: the disk is full; nothing was stored.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        new = new_messages(self._place, messages)
        follows = expected_head == ANYWHERE
        try:
            async with in_room(self._place, wait_s, follows=follows) as (place, deadline_s):
                if place.owner_id not in place.opened.swept:
                    await close_dead_replies(place.database, place.owner_id)
                    place.opened.swept.add(place.owner_id)
                write = partial(_append, place, messages, new, expected_head)
                return await when_free(write, deadline_s)
        except ConversationNotFoundError:
            place = self._place
            if not follows or await whereabouts(place) is place:
                raise
        return await self.append(*messages, wait_s=wait_s)  # its room goes on elsewhere

    async def history(self, limit: int | None = None) -> tuple[Message, ...]:
        """Read the messages from the root to the head, oldest first.

        A reply that is running elsewhere shows what of it is on disk.

        Args:
            limit: only the last so many.

        Raises:
            MessageNotFoundError: the message at which this object stands was removed.
            ConversationNotFoundError: the conversation was purged.
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        place = self._place
        if limit is not None and limit > 0 and (last := await self._last(limit)) is not None:
            return last
        at = (place.database, place.owner_id, place.record.id)  # it may have gone elsewhere by now
        path = await reads.path(*at, place.head_seq)
        return path if limit is None else path[max(0, len(path) - limit) :]

    async def _last(self, limit: int) -> tuple[Message, ...] | None:
        """Read so many messages up to the head, as where nothing branched among them; else None."""
        place, head_seq = self._place, self._place.head_seq or 0
        at = (place.database, place.owner_id, self.id)
        after = max(0, head_seq - limit)
        found = await reads.messages_between(*at, after=after, last=head_seq, most=limit)
        whole = len(found) == limit or (found and found[0].parent_seq is None)
        in_line = all(one.parent_seq == above.seq for above, one in pairwise(found))
        return found if whole and in_line and found[-1].seq == head_seq else None

    async def message(self, message: str | int, *, wait_s: float | None = 0.0) -> Message:
        """Read one message of the whole tree; a running reply as far as it is on disk.

        Args:
            message: its id, its number, or the idempotency key with which it was stored: of what
                was edited since, the newest wording.
            wait_s: how long to wait for what is in line before, among which it may be; None is 60
                with a key, else 0. Then this object stands where the conversation stands.

        Raises:
            MessageNotFoundError: the conversation has no such message.
            ConversationBusyError: what is in line took longer than *wait_s*.
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        place = self._place
        if wait_s == 0:
            return await message_of(place, message)
        async with in_line(place, wait_s):
            await _refresh(place)
            return await message_of(place, message)

    async def messages(self) -> tuple[Message, ...]:
        """Read the whole tree, in order of storing.

        Raises:
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        place = self._place
        return await reads.messages_between(
            place.database,
            place.owner_id,
            self.id,
            after=0,
            last=reads.MOST_SEQ,
            most=reads.MOST_SEQ,
        )


async def _append(
    place: Place,
    messages: tuple[Message, ...],
    new: tuple[NewMessage, ...],
    expected_head: str | None,
) -> tuple[Message, ...]:
    first_user = next((one.text for one in new if one.role == "user"), "")
    job = Append(
        conversation_id=place.record.id,
        messages=new,
        now_ms=clock.now_ms(),
        head_seq=await _expected(place, expected_head),
        title=fallback_title(first_user),
    )
    done: Appended = await place.database.write(append_messages, place.owner_id, job)
    if done.change is not None:
        place.changed(done.change)
        return tuple(stored(messages, job, done))
    await _refresh(place)  # an earlier try had stored them, and more may have come since
    found = await _between(place, done) if done.seqs else ()
    return tuple(one for one in found if one.seq in set(done.seqs))


async def _expected(place: Place, message_id: str | None) -> int | None:
    if message_id == ANYWHERE:
        return ANY_HEAD
    if message_id is None:
        return None
    seq = await reads.seq_of(place.database, place.owner_id, place.record.id, message_id)
    if seq is None:
        raise MessageNotFoundError(f"this conversation has no message {message_id}")
    return seq


async def _between(place: Place, done: Appended) -> tuple[Message, ...]:
    """Read from the first to the last of what was appended before."""
    at = (place.database, place.owner_id, done.conversation_id or place.record.id)
    after, last = done.seqs[0] - 1, done.seqs[-1]
    return await reads.messages_between(*at, after=after, last=last, most=last - after)


async def _refresh(place: Place) -> None:
    at = (place.database, place.owner_id, place.record.id)
    place.record, far = await lookup.standing_of_id(*at)
    place.head_seq = place.record.head_seq
    place.remote, place.home_url, place.compacted = far
