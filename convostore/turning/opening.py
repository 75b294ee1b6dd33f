"""How a turn begins: what the model is asked, who may ask now, and write 1."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from convostore import clock
from convostore.carrying import contents_of
from convostore.errors import ConversationNotFoundError, ConvostoreError
from convostore.ids import new_id, new_token
from convostore.parts import TextPart
from convostore.storage import leases, lookup, reads
from convostore.storage.canonical import encode_parts
from convostore.storage.exchanges import (
    AT_HEAD,
    BeginTurn,
    Begun,
    KnownKey,
    NewMessage,
    OnMoved,
    Outdated,
)
from convostore.storage.leases import new_lease
from convostore.storage.turns import begin_turns
from convostore.text import fallback_title
from convostore.turning.appending import once_key
from convostore.turning.begun import BegunTurn, OutdatedError, Written
from convostore.turning.compacting import compact_later, give_way
from convostore.turning.following import follow
from convostore.turning.forsaking import doubtful, forsaken
from convostore.turning.handing import checked_request, handed_in
from convostore.turning.lines import in_turn, until, when_free
from convostore.turning.looking import past_of, past_with
from convostore.turning.recovery import adopt, close_dead_replies, is_unsettled
from convostore.turning.repeating import repeated
from convostore.turning.rooms import lined_up, whereabouts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.events import Delta
    from convostore.parts import Part
    from convostore.providers.provider import ChatRequest, Provider
    from convostore.records import Message, RemoteThread
    from convostore.storage.database import Database
    from convostore.turning.asking import Ask
    from convostore.turning.lines import Ticket
    from convostore.turning.place import Past, Place
    from convostore.views.viewing import View


class Opening:
    """The beginning of one turn.

    Attributes:
        provider: who is asked.
        request: what is asked; set by `begin`.
        view: how that came about; None where nothing is asked.
        token: fences every write of this turn.
        reply: the reply as last seen, where it is followed and not made.
        place: where it is asked: where the room goes on by now; set by `begin`.
        past: what was said before the question, where the store is sure to say the same; else None.
    """

    request: ChatRequest
    reply: Message
    place: Place

    def __init__(self, ask: Ask, provider: Provider) -> None:
        self.provider = provider
        self.token = new_token()
        self.view: View | None = None
        self.past: Past | None = None
        self._ask = ask
        self._ticket: Ticket | None = None
        self._follows = False

    async def begin(self, place: Place) -> BegunTurn:
        """Wait for our turn, decide what to ask, and store the question and an empty reply.

        Raises:
            ProviderError, InvalidTextError, ConflictError, StoreError: see `Turn.__aenter__`.
        """
        self._check()
        deadline_s = until(place, self._ask.wait_s)
        follows = self._ask.on_moved in {None, "follow"} and not self._stays()
        if self._ticket is None:  # at once: those who come first are asked first
            place, self._ticket = await lined_up(place, follows=follows)
        self.place = place
        try:
            await self._prepare(place)
            if self._ticket is not None:
                await in_turn(self._ticket, deadline_s)
            return await when_free(partial(self._begin, place), deadline_s)
        except ConversationNotFoundError:
            self.leave()
            if not follows or await whereabouts(place) is place:
                raise
        except BaseException:
            self.leave()
            raise
        return await self.begin(place)  # its room went on elsewhere while it waited

    async def _prepare(self, place: Place) -> None:
        """Do what has to be done before the question can be asked, at whatever place in line."""
        await place.settled()
        if place.opened.summing:
            await give_way(place, self.provider)
        parts = await handed_in(place, self.provider, self._ask.attachments)
        self._ask = msgspec.structs.replace(self._ask, attachments=parts)
        if place.owner_id not in place.opened.swept:
            await close_dead_replies(place.database, place.owner_id)
            place.opened.swept.add(place.owner_id)

    def _check(self) -> None:
        """Refuse what cannot be asked, before anything happens."""
        self._ask.check()

    def _stays(self) -> bool:
        """Tell whether it is about this very conversation, wherever its room goes on: by a number of it."""
        return False

    def leave(self) -> None:
        """Let the next turn of this conversation begin."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.leave()

    async def _begin(self, place: Place) -> BegunTurn:
        while True:
            try:
                return await self._try(place)
            except OutdatedError:
                place.said, place.remote = None, await self._remote(place)
                at = (place.database, place.owner_id, place.record.id)
                last_seq = (await lookup.conversation_by_id(*at)).last_seq
                place.record = msgspec.structs.replace(place.record, last_seq=last_seq)

    async def _try(self, place: Place) -> BegunTurn:
        """Begin once.

        Raises:
            OutdatedError: nothing was written: the conversation was changed since it was read.
        """
        on_moved = await self._look(place)
        said = place.recalled(self._ask.window_in(place))
        last_seq = place.record.last_seq if said is None else said.last_seq  # as it is read
        past = await self._path(place) if said is None else said.past
        self._asks(place, past, place.remote)
        await checked_request(self.provider, self.request, place.opened.patience)
        user = self._question(place)
        outcome = await self._write(place, user, on_moved, as_of=said and said.last_seq)
        if isinstance(outcome, KnownKey):
            return await self._known(place, outcome)
        try:
            past = await self._path_again(place, past, outcome.begun, last_seq)
        except BaseException:
            place.forsake(forsaken(place, outcome.begun, self.token, outcome.reply.id))
            raise
        return self._begun(place, past.path, user, outcome)

    def _asks(self, place: Place, past: Past, remote: RemoteThread | None) -> None:
        """Decide what is asked after *past*."""
        self.request, self.view = self._ask.request(place, self.provider, past, remote)

    def ended(self, place: Place, reply: Message) -> None:
        """Sum up in the background what is older, where the window wants that."""
        compact_later(place, self.provider, self._ask.window_in(place), self.view, reply)

    def broke_off(self) -> bool:
        """Tell whether a reply that was being made elsewhere has ended as no answer."""
        return self._follows and self.reply.status in {"interrupted", "failed"}

    def seen(self) -> View | None:
        """Return what the model was sent, as it turned out; None if it was not asked."""
        if self.view is None or self.request.remote is None:
            return self.view
        return msgspec.structs.replace(self.view, goes_on=True)

    async def _asks_after(self, place: Place, path: tuple[Message, ...]) -> None:
        """Decide what is asked after a whole path."""
        at = (place.database, place.owner_id, place.record.id, path[-1].seq if path else None)
        past = await past_with(place, self._ask.window_in(place), path)
        self._asks(place, past, await reads.remote_of(*at))

    async def _past(self, place: Place, seq: int | None) -> Past:
        return await past_of(place, self._ask.window_in(place), seq)

    async def _look(self, place: Place) -> OnMoved:
        """Return what to do where the head has moved; for "follow", go there first."""
        on_moved = self._ask.on_moved or ("follow" if place.record.key is not None else "branch")
        if on_moved == "follow":
            at = (place.database, place.owner_id, place.record.id)
            place.record, (place.remote, _, _) = await lookup.standing_of_id(*at)
            place.head_seq = place.record.head_seq
        return on_moved

    async def _remote(self, place: Place) -> RemoteThread | None:
        """Read what the far side keeps of the message at the head, as it is known now."""
        at = (place.database, place.owner_id, place.record.id, place.head_seq)
        return await reads.remote_of(*at)

    def _question(self, place: Place) -> NewMessage:
        _, shape = encode_parts(self._parts())
        return NewMessage(
            id=new_id(),
            role="user",
            text=self._ask.text,
            shape=shape,
            attachments=contents_of(self._ask.parts),
            author=self._ask.author,
            author_id=self._ask.author_id,
            idempotency_key=self._once_key(place),
        )

    def _once_key(self, place: Place) -> str | None:
        return once_key(place, self._ask.idempotency_key)

    def _parts(self) -> tuple[Part, ...]:
        return (*self._ask.parts, TextPart(self._ask.text))

    async def _path_again(self, place: Place, past: Past, begun: Begun, last_seq: int) -> Past:
        """Read the path once more, where anybody wrote between the reading, at *last_seq*, and write 1.

        It may have moved or ended, or something of it was forgotten.
        """
        last = past.path[-1] if past.path else None
        if (
            begun.user_seq == last_seq + 1  # nobody else has written meanwhile
            and begun.parent_seq == (last.seq if last else None)
            and (last is None or last.status != "streaming")
        ):
            self.past = past
            return past
        at = (place.database, place.owner_id, place.record.id, begun.parent_seq)
        past, place.remote = await self._past(place, at[-1]), await reads.remote_of(*at)
        self._asks(place, past, place.remote)
        return past

    async def _path(self, place: Place) -> Past:
        """Read what was said so far; of a broken reply, first what the far side kept of it."""
        past = await self._past(place, place.head_seq)
        if past.has_erased:  # what the far side keeps may be outdated
            place.remote = await self._remote(place)
        if past.path and is_unsettled(past.path[-1]):
            seq = await adopt(place, past.path[-1], self.provider)
            if seq is not None:
                place.head_seq = seq
                place.remote = await reads.remote_of(
                    place.database, place.owner_id, place.record.id, seq
                )
                past = await self._past(place, seq)
        return past

    async def _write(
        self,
        place: Place,
        user: NewMessage | None,
        on_moved: OnMoved,
        *,
        head_seq: int | None = AT_HEAD,
        below_seq: int | None = AT_HEAD,
        again: bool = False,
        as_of: int | None = None,
    ) -> Written | KnownKey:
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
            head_seq=place.head_seq if head_seq == AT_HEAD else head_seq,
            below_seq=below_seq,
            again=again,
            as_of=as_of,
            on_moved=on_moved,
            one_at_a_time=place.record.key is not None,
            user=user,
            reply=reply,
            now_ms=now_ms,
            title=None if place.record.title else fallback_title(self._ask.text),
            model=self.request.model,
        )
        write = place.database.submit(begin_turns, place.owner_id, job)
        leases.hold(self.token, asyncio.get_running_loop())
        try:
            outcome: Begun | KnownKey | Outdated = await write.future
        except asyncio.CancelledError:
            place.forsake(forsaken(place, write.kept(), self.token, reply.id))
            raise
        except ConvostoreError as error:
            doubtful(place, error, self.token, reply.id)
            raise
        except BaseException:
            leases.abandon(self.token)
            raise
        if isinstance(outcome, Begun):
            return Written(outcome, reply, lease, now_ms)
        leases.let_go(self.token)
        if isinstance(outcome, Outdated):
            raise OutdatedError
        return outcome

    def _begun(
        self, place: Place, path: tuple[Message, ...], new: NewMessage, written: Written
    ) -> BegunTurn:
        parent = path[-1] if path else None
        user = written.question(new, self._parts(), parent)
        return BegunTurn(
            user=user,
            reply=self._running(place, user, written),
            branched=written.begun.branched,
            lease=written.lease,
        )

    def _running(self, place: Place, user: Message, written: Written) -> Message:
        """Return the running reply, and stand at it."""
        place.changed(written.begun.change)
        place.head_seq = written.begun.reply_seq  # on a branch, the record's own head is elsewhere
        return written.running(user)

    async def _known(self, place: Place, known: KnownKey) -> BegunTurn:
        """Go on with a question that was asked before, with the same key."""
        again = await repeated(place, known, self._ask, self.provider)
        if again.reply is None:
            return await self._answer_again(place, again.user, again.replies)
        self.reply, self.view = again.reply, None
        self._follows = again.is_here and again.reply.status == "streaming"
        at = (place.database, place.owner_id, known.conversation_id)
        if again.is_here and (place.head_seq is None or place.head_seq < self.reply.seq):
            place.head_seq = self.reply.seq
            place.remote, place.home_url, place.compacted = await reads.far_side(
                *at, self.reply.seq
            )
        if not self._follows:  # else it stays in line: where that reply breaks off, it asks anew
            self.leave()
        followed = self._followed(place.database, place.owner_id, known.conversation_id)
        return BegunTurn(user=again.user, reply=self.reply, known=followed)

    async def _answer_again(
        self, place: Place, user: Message, replies: tuple[Message, ...]
    ) -> BegunTurn:
        """Ask for another answer to a stored question whose own was lost or failed.

        Where the conversation has gone on since, its head stays: nothing goes out of sight.
        """
        at = (place.database, place.owner_id, place.record.id)
        record = await lookup.conversation_by_id(*at)
        gone_on = record.head_seq not in {user.seq, *(one.seq for one in replies)}
        past = await self._past(place, user.parent_seq)
        remote = await reads.remote_of(*at, user.parent_seq)
        self._asks(place, past, remote)
        await checked_request(self.provider, self.request, place.opened.patience)
        outcome = await self._write(
            place,
            None,
            "branch" if gone_on else "follow",
            head_seq=user.seq,
            below_seq=user.seq,
            as_of=record.last_seq,
        )
        if isinstance(outcome, KnownKey):
            return await self._known(place, outcome)  # somebody else has asked again meanwhile
        return BegunTurn(
            user=user,
            reply=self._running(place, user, outcome),
            branched=outcome.begun.branched,
            lease=outcome.lease,
        )

    async def _followed(
        self, database: Database, owner_id: str, conversation_id: str
    ) -> AsyncGenerator[Delta]:
        async for reply, deltas in follow(database, owner_id, conversation_id, self.reply.seq):
            self.reply = reply
            for delta in deltas:
                yield delta
