"""A conversation: the live object with the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore import clock
from convostore.asking import Ask, fallback_title
from convostore.branching import Branching
from convostore.errors import InvalidTextError, MessageNotFoundError
from convostore.ids import new_id
from convostore.opening import Opening
from convostore.ordering import Ordering
from convostore.recovery import close_dead_replies
from convostore.storage import lookup, reads
from convostore.storage.appends import ANY_HEAD, Append, Appended, append_messages
from convostore.storage.rows import decode_parts, encode_parts, to_json
from convostore.storage.standing import NewMessage
from convostore.text import gate
from convostore.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord, Message
    from convostore.storage.turns import OnMoved

ANYWHERE: Final = ""  # no message has an empty id
_TEXTS: Final = (
    *("text", "id", "author", "provider", "model"),
    *("finish_reason", "idempotency_key", "source_id"),
)


class Conversation(Branching, Ordering):
    """A titled tree of messages, and where this caller stands in it.

    Every verb that writes has its text on disk when it returns. Two objects of the same
    conversation, here or in other processes, each keep their own head: when the stored head has
    moved, `stream` and `send` go on as a sibling branch, so that nothing is lost; a conversation
    with a key goes on at the new head, one turn at a time.
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
        model: str | None = None,
        provider: Provider | None = None,
        settings: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
        author: str | None = None,
        wait_s: float | None = None,
        on_moved: OnMoved | None = None,
    ) -> Turn:
        """Ask, and stream the answer: `async with chat.stream(text) as turn`.

        Nothing happens before the turn is entered.

        Args:
            text: the question, up to 16 MiB.
            model: for this turn and those after it.
            provider: instead of the store's; it stays the caller's to close.
            settings: options for this turn, over the conversation's own.
            idempotency_key: a repeat with the same key asks only once.
            author: who asks, where a room has several people.
            wait_s: how long to wait for a running reply; by default 60 with a key, else 0.
            on_moved: when the head has moved elsewhere: "branch" off, "follow" it, or "error".

        Raises:
            TurnStateError: neither the store nor the call has a provider.
        """
        ask = Ask(
            text=text,
            author=author,
            model=model,
            settings=settings,
            idempotency_key=idempotency_key,
            wait_s=wait_s,
            on_moved=on_moved,
        )
        return Turn(self._place, Opening(ask, self._asked(provider)))

    async def send(
        self,
        text: str,
        *,
        model: str | None = None,
        provider: Provider | None = None,
        settings: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
        author: str | None = None,
        wait_s: float | None = None,
        on_moved: OnMoved | None = None,
    ) -> Message:
        """Ask, wait for the whole answer, and return it as stored. Arguments as in `stream`.

        Raises:
            ProviderError: the far side failed; what arrived is stored and in `.reply`.
            ConversationBusyError: another reply runs, and still did after `wait_s`.
            HeadMovedError: the head moved, and `on_moved` is "error".
            DuplicateKeyError: the idempotency key belongs to another text.
            InvalidTextError: the text cannot be stored.
            StoreError: the store cannot be read or written.
        """
        turn = self.stream(
            text,
            model=model,
            provider=provider,
            settings=settings,
            idempotency_key=idempotency_key,
            author=author,
            wait_s=wait_s,
            on_moved=on_moved,
        )
        async with turn:
            return await turn.drain()

    async def append(
        self, *messages: Message, expected_head: str | None = ANYWHERE
    ) -> tuple[Message, ...]:
        """Store finished messages one below the other, in one transaction, and stand at the last.

        For those who talk to the model themselves. Repeating an append of the same message
        objects is safe: it stores them once.

        Args:
            messages: made with `Message.user`, `.assistant` or `.system`; roles, texts, parts,
                authors and models are kept, ids too.
            expected_head: the id of the message that must be the head; None is an empty
                conversation. Without it, the append goes on wherever the conversation stands.

        Raises:
            HeadMovedError: the head is another one; nothing was stored.
            ConversationBusyError: a reply is running at the head.
            DuplicateKeyError: a message of the same id has another text.
            MessageNotFoundError: there is no message *expected_head*.
            InvalidTextError: a text cannot be stored.
            StoreError: the store cannot be written.
        """
        place = self._place
        if place.owner_id not in place.opened.swept:
            await close_dead_replies(place.database, place.owner_id)
            place.opened.swept.add(place.owner_id)
        first_user = next((one.text for one in messages if one.role == "user"), "")
        job = Append(
            conversation_id=self.id,
            messages=tuple(_new(one) for one in messages),
            now_ms=clock.now_ms(),
            head_seq=await self._expected(expected_head),
            title=fallback_title(first_user),
        )
        done: Appended = await place.database.write(append_messages, place.owner_id, job)
        if done.change is not None:
            place.changed(done.change)
            return tuple(_stored(messages, job, done))
        await self._refresh()  # an earlier try had stored them, and more may have come since
        stored = await self._between(done.seqs[0] - 1, done.seqs[-1]) if done.seqs else ()
        return tuple(one for one in stored if one.seq in set(done.seqs))

    async def history(self, limit: int | None = None) -> tuple[Message, ...]:
        """Read the messages from the root to the head, oldest first.

        A reply that is running elsewhere shows what of it is on disk.

        Args:
            limit: only the last so many.

        Raises:
            StoreError: the store cannot be read.
        """
        place = self._place
        path = await reads.path(place.database, place.owner_id, self.id, place.head_seq)
        return path if limit is None else path[max(0, len(path) - limit) :]

    async def messages(self) -> tuple[Message, ...]:
        """Read the whole tree, in order of storing.

        Raises:
            StoreError: the store cannot be read.
        """
        return await self._between(0, 2**31 - 1)

    async def _between(self, after: int, last: int) -> tuple[Message, ...]:
        place = self._place
        return await reads.messages_between(
            place.database, place.owner_id, self.id, after=after, last=last, most=last - after
        )

    async def _expected(self, message_id: str | None) -> int | None:
        if message_id == ANYWHERE:
            return ANY_HEAD
        if message_id is None:
            return None
        place = self._place
        seq = await reads.seq_of(place.database, place.owner_id, self.id, message_id)
        if seq is None:
            raise MessageNotFoundError(f"this conversation has no message {message_id}")
        return seq

    async def _refresh(self) -> None:
        place = self._place
        place.record = await lookup.conversation_by_id(place.database, place.owner_id, self.id)
        place.head_seq = place.record.head_seq
        place.remote, place.home_url = await reads.far_side(
            place.database, place.owner_id, self.id, place.head_seq
        )


def _stored(messages: tuple[Message, ...], job: Append, done: Appended) -> Iterator[Message]:
    """Yield the messages of an append as they are stored."""
    above_seq, above_id = done.parent_seq, done.parent_id
    for message, new, seq, hash_ in zip(
        messages, job.messages, done.seqs, done.hashes, strict=True
    ):
        yield msgspec.structs.replace(
            message,
            id=new.id,
            seq=seq,
            parent_seq=above_seq,
            parent_id=above_id,
            parts=message.parts or decode_parts(new.text, None),
            created_at_ms=job.now_ms,
            finished_at_ms=job.now_ms,
            content_hash=hash_,
        )
        above_seq, above_id = seq, new.id


def _new(message: Message) -> NewMessage:
    """Return a caller's message as it will be stored."""
    for name in _TEXTS:
        if value := getattr(message, name):
            gate(value, f"the message's {name}")
    text, shape = encode_parts(message.parts) if message.parts else (message.text, None)
    if shape is not None:
        gate(shape, "a part of the message")
    if text != message.text:
        raise InvalidTextError(
            "a message's text is not the joined text of its parts",
            hint="give parts whose TextParts say exactly the text",
        )
    if message.status == "streaming":
        raise InvalidTextError(
            "only finished messages can be appended", hint="stream() makes running ones"
        )
    return NewMessage(
        id=message.id or new_id(),
        role=message.role,
        text=text,
        shape=shape,
        author=message.author,
        status=message.status,
        provider=message.provider,
        model=message.model,
        finish_reason=message.finish_reason,
        error=None if message.error is None else to_json(message.error),
        idempotency_key=message.idempotency_key,
        source_id=message.source_id,
    )
