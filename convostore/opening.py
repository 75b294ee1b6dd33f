"""How a turn begins: what the model is asked, who may ask now, and write 1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore import clock
from convostore.errors import ConversationBusyError, DuplicateKeyError
from convostore.events import Delta
from convostore.following import follow
from convostore.ids import new_id, new_token
from convostore.providers.provider import ChatRequest
from convostore.records import Message, TextPart
from convostore.recovery import adopt, close_dead_replies, is_unsettled
from convostore.storage import lookup, reads
from convostore.storage.endings import FinishTurn, finish_turns
from convostore.storage.leases import new_lease
from convostore.storage.standing import NewMessage
from convostore.storage.turns import BeginTurn, Begun, KnownKey, OnMoved, begin_turns
from convostore.text import gate
from convostore.views import view

if TYPE_CHECKING:
    from convostore.place import Place
    from convostore.providers.provider import Provider

KEYED_WAIT_S: Final = 60.0  # a room's people expect to be answered in turn
FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.2
LONGEST_TITLE: Final = 80  # characters of the first line that become the title


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller said.

    Attributes:
        text: the question.
        author: who asks, where a room has several people.
        model: None is the conversation's.
        settings: over the conversation's own.
        idempotency_key: repeating with the same one asks only once.
        wait_s: for a running reply of the same conversation; None is 60 with a key, else 0.
        on_moved: what to do when the head has moved; None is "follow" with a key, else "branch".
    """

    text: str
    author: str | None = None
    model: str | None = None
    settings: dict[str, Any] | None = None
    idempotency_key: str | None = None
    wait_s: float | None = None
    on_moved: OnMoved | None = None


class BegunTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Write 1 is done, or was not needed.

    Attributes:
        known: the deltas of a reply that was asked for before, with the same key; else None.
    """

    user: Message
    reply: Message
    branched: bool = False
    lease: str = ""
    known: AsyncGenerator[Delta] | None = None


class _Written(msgspec.Struct, frozen=True):
    """What write 1 stored."""

    begun: Begun
    reply: NewMessage
    lease: str
    now_ms: int


class Opening:
    """The beginning of one turn.

    Attributes:
        provider: who is asked.
        request: what is asked; set by `begin`.
        token: fences every write of this turn.
        reply: the reply as last seen, where it is followed and not made.
    """

    request: ChatRequest
    reply: Message

    def __init__(self, ask: Ask, provider: Provider) -> None:
        self.provider = provider
        self.token = new_token()
        self._ask = ask
        self._inside = False

    async def begin(self, place: Place) -> BegunTurn:
        """Wait for our turn, decide what to ask, and store the question and an empty reply.

        Raises:
            ProviderError, InvalidTextError, ConflictError, StoreError: see `Turn.__aenter__`.
        """
        gate(self._ask.text)
        for value, what in ((self._ask.author, "the author"), (self._ask.model, "the model")):
            gate(value or "", what)
        keyed = place.record.key is not None
        wait_s = self._ask.wait_s
        deadline_s = clock.monotonic_s() + (
            (KEYED_WAIT_S if keyed else 0.0) if wait_s is None else wait_s
        )
        if place.owner_id not in place.opened.swept:
            await close_dead_replies(place.database, place.owner_id)
            place.opened.swept.add(place.owner_id)
        if keyed:
            await self._enter(place, deadline_s)
        try:
            return await self._begin_when_free(place, deadline_s)
        except BaseException:
            self.leave(place)
            raise

    def leave(self, place: Place) -> None:
        """Let the next turn of this conversation begin."""
        if self._inside:
            self._inside = False
            place.pulse.leave(place.owner_id, place.record.id)

    async def _enter(self, place: Place, deadline_s: float) -> None:
        try:
            async with clock.timeout(max(0.0, deadline_s - clock.monotonic_s())):
                await place.pulse.enter(place.owner_id, place.record.id)
        except TimeoutError:
            raise ConversationBusyError(
                "another reply of this conversation is still running",
                hint="wait until it has ended, or stop it",
            ) from None
        self._inside = True

    async def _begin_when_free(self, place: Place, deadline_s: float) -> BegunTurn:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._begin(place)
            except ConversationBusyError:
                if clock.monotonic_s() + pause_s > deadline_s:
                    raise
            await clock.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _begin(self, place: Place) -> BegunTurn:
        on_moved = self._ask.on_moved or ("follow" if place.record.key is not None else "branch")
        if on_moved == "follow":
            place.record = await lookup.conversation_by_id(
                place.database, place.owner_id, place.record.id
            )
            place.head_seq = place.record.head_seq
            place.remote = await reads.remote_of(
                place.database, place.owner_id, place.record.id, place.head_seq
            )
        path = await self._path(place)
        user = self._user(place)
        self.request = self._request(place, path, user.text)
        self.provider.check(self.request)
        outcome = await self._write(place, user, on_moved)
        if isinstance(outcome, KnownKey):
            return await self._known(place, outcome)
        try:
            path = await self._path_again(place, path, user.text, outcome.begun.parent_seq)
        except BaseException:
            _forsake(place, outcome.begun, self.token)
            raise
        return self._begun(place, path, user, outcome)

    async def _path_again(
        self, place: Place, path: tuple[Message, ...], text: str, parent_seq: int | None
    ) -> tuple[Message, ...]:
        """Read the path once more, where it moved or ended between the reading and write 1."""
        last = path[-1] if path else None
        if parent_seq == (last.seq if last else None) and (
            last is None or last.status != "streaming"
        ):
            return path
        at = (place.database, place.owner_id, place.record.id, parent_seq)
        path, place.remote = await reads.path(*at), await reads.remote_of(*at)
        self.request = self._request(place, path, text)
        return path

    async def _path(self, place: Place) -> tuple[Message, ...]:
        """Read what was said so far; of a broken reply, first what the far side kept of it."""
        path = await reads.path(place.database, place.owner_id, place.record.id, place.head_seq)
        if path and is_unsettled(path[-1]):
            seq = await adopt(place, path[-1], self.provider)
            if seq is not None:
                place.head_seq = seq
                place.remote = await reads.remote_of(
                    place.database, place.owner_id, place.record.id, seq
                )
                path = await reads.path(place.database, place.owner_id, place.record.id, seq)
        return path

    def _user(self, place: Place) -> NewMessage:
        key = self._ask.idempotency_key
        if key is not None:
            key = f"{place.record.key or place.record.id}:{gate(key, 'the idempotency key')}"
        return NewMessage(
            id=new_id(),
            role="user",
            text=self._ask.text,
            author=self._ask.author,
            idempotency_key=key,
        )

    def _request(self, place: Place, path: tuple[Message, ...], text: str | None) -> ChatRequest:
        """Return the model call after *path*; its last message is *text*, or the path's own."""
        last = path[-1] if path else None
        usable = last is not None and (
            last.status == "completed" or (place.remote is not None and place.remote.same_text)
        )
        said = (*path, Message.user(text)) if text is not None else path
        other = place.record.provider not in {None, self.provider.name}
        return ChatRequest(
            messages=view(said).messages,
            model=self._ask.model or (None if other else place.record.model),
            settings={**({} if other else place.record.settings), **(self._ask.settings or {})},
            remote=place.remote if usable and last is not None and last.text else None,
            anonymous_user_id=place.record.anonymous_user_id or "",
            home_url=place.home_url,
            question=text or "",
        )

    async def _write(
        self, place: Place, user: NewMessage | None, on_moved: OnMoved
    ) -> _Written | KnownKey:
        """Write 1; a caller who is cancelled meanwhile leaves no running reply behind."""
        now_ms = clock.now_ms()
        lease = new_lease(self.token, now_ms)
        reply = NewMessage(
            id=new_id(),
            role="assistant",
            text="",
            status="streaming",
            provider=self.provider.name,
            model=self.request.model,
            lease=lease,
        )
        job = BeginTurn(
            conversation_id=place.record.id,
            head_seq=place.head_seq,
            on_moved=on_moved,
            one_at_a_time=place.record.key is not None,
            user=user,
            reply=reply,
            now_ms=now_ms,
            title=fallback_title(self._ask.text),
            model=self.request.model,
        )
        write = asyncio.ensure_future(place.database.write(begin_turns, place.owner_id, job))
        try:
            outcome: Begun | KnownKey = await asyncio.shield(write)
        except asyncio.CancelledError:
            write.add_done_callback(lambda done: _forsake_written(place, done, self.token))
            place.pulse.see_through(write)
            raise
        return outcome if isinstance(outcome, KnownKey) else _Written(outcome, reply, lease, now_ms)

    def _begun(
        self, place: Place, path: tuple[Message, ...], new: NewMessage, written: _Written
    ) -> BegunTurn:
        parent = path[-1] if path else None
        user = Message(
            role="user",
            id=new.id,
            text=new.text,
            parts=(TextPart(new.text),) if new.text else (),
            parent_id=parent.id if parent else None,
            parent_seq=parent.seq if parent else None,
            seq=written.begun.user_seq,
            author=new.author,
            idempotency_key=new.idempotency_key,
            created_at_ms=written.now_ms,
            finished_at_ms=written.now_ms,
            content_hash=written.begun.user_hash,
        )
        return BegunTurn(
            user=user,
            reply=self._running(place, user, written),
            branched=written.begun.branched,
            lease=written.lease,
        )

    def _running(self, place: Place, user: Message, written: _Written) -> Message:
        """Return the running reply, and stand at it."""
        place.changed(written.begun.change)
        place.head_seq = written.begun.reply_seq  # on a branch, the record's own head is elsewhere
        return Message(
            role="assistant",
            id=written.reply.id,
            text="",
            status="streaming",
            parent_id=user.id,
            parent_seq=user.seq,
            seq=written.begun.reply_seq,
            provider=written.reply.provider,
            model=written.reply.model,
            created_at_ms=written.now_ms,
        )

    async def _known(self, place: Place, known: KnownKey) -> BegunTurn:
        """Go on with a question that was asked before, with the same key."""
        if known.conversation_id != place.record.id or known.text != self._ask.text:
            raise DuplicateKeyError(
                "the idempotency key belongs to another text",
                hint="make a new key for each question",
            )
        at = (place.database, place.owner_id, place.record.id)
        user = (await reads.path(*at, known.user_seq))[-1]
        replies = await reads.answers(*at, known.user_seq)
        if replies and is_unsettled(replies[-1]):
            await adopt(place, replies[-1], self.provider)
            replies = await reads.answers(*at, known.user_seq)
        ended = [one for one in replies if one.status in {"completed", "stopped"}]
        running = [one for one in replies if one.status == "streaming"]
        if found := (ended or running):
            self.reply = found[-1]
            self.leave(place)
            return BegunTurn(user=user, reply=found[-1], known=self._followed(place, found[-1].seq))
        return await self._answer_again(place, user, replies)

    async def _answer_again(
        self, place: Place, user: Message, replies: tuple[Message, ...]
    ) -> BegunTurn:
        """Ask for another answer to a stored question whose own was lost or failed.

        Where the conversation has gone on since, its head stays: nothing goes out of sight.
        """
        record = await lookup.conversation_by_id(place.database, place.owner_id, place.record.id)
        gone_on = record.head_seq not in {user.seq, *(one.seq for one in replies)}
        path = await reads.path(place.database, place.owner_id, place.record.id, user.seq)
        place.head_seq = user.seq
        above = path[-2].seq if len(path) > 1 else None
        place.remote = await reads.remote_of(place.database, place.owner_id, place.record.id, above)
        self.request = self._request(place, path[:-1], user.text)
        self.provider.check(self.request)
        outcome = await self._write(place, None, "branch" if gone_on else "follow")
        if isinstance(outcome, KnownKey):
            raise TypeError("a reply alone has no key")
        return BegunTurn(
            user=user,
            reply=self._running(place, user, outcome),
            branched=outcome.begun.branched,
            lease=outcome.lease,
        )

    async def _followed(self, place: Place, seq: int) -> AsyncGenerator[Delta]:
        async for reply, deltas in follow(place.database, place.owner_id, place.record.id, seq):
            self.reply = reply
            for delta in deltas:
                yield delta


def fallback_title(text: str) -> str | None:
    """Return the first line of a question, cut to 80 characters; None when it is blank."""
    for line in text.splitlines():
        words = " ".join(line.split())
        if words:
            return words if len(words) <= LONGEST_TITLE else words[: LONGEST_TITLE - 1] + "…"
    return None


def _forsake_written(place: Place, written: asyncio.Task[Any], token: str) -> None:
    if not written.cancelled() and not written.exception() and isinstance(written.result(), Begun):
        _forsake(place, written.result(), token)


def _forsake(place: Place, begun: Begun, token: str) -> None:
    """End a reply whose caller was gone before its turn began: no running reply stays behind."""
    job = FinishTurn(
        conversation_id=place.record.id,
        message_seq=begun.reply_seq,
        token=token,
        spare_id=new_id(),
        usage_id=new_id(),
        status="stopped",
        text="",
        shape=None,
        now_ms=clock.now_ms(),
    )
    place.pulse.write_later(lambda: place.database.write(finish_turns, place.owner_id, job))
