"""Where a caller stands in a conversation, shared by the conversation object and its turns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from convostore.ids import identity_at
from convostore.providers.provider import seconds_of
from convostore.views.tokens import estimate_tokens
from convostore.views.window import WHOLE, Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from convostore.overlay import Summary
    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord, Message, RemoteThread, Usage
    from convostore.storage.database import Database
    from convostore.storage.exchanges import Change
    from convostore.storage.memory import MemoryDatabase
    from convostore.storage.reads import FarSide
    from convostore.turning.pulse import Pulse
    from convostore.views.tokens import CountTokens


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a turn waits for its provider.

    Attributes:
        idle_timeout_s: for the next event.
        total_timeout_s: for the whole reply.
    """

    idle_timeout_s: float = 120.0
    total_timeout_s: float = 1800.0


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long turns wait, as far as the store was told; None is as the provider has it."""

    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None

    def limits_of(self, provider: Provider) -> Limits:
        """Return the limits of a turn with *provider*: told, else its own, else the defaults.

        Raises:
            ProviderError: what it says of them is no number of seconds.
        """
        own = Limits()
        return Limits(
            **{
                name: getattr(self, name) or seconds_of(provider, name) or getattr(own, name)
                for name in Limits.__struct_fields__
            }
        )


class Past(NamedTuple):
    """What was said before a question, as far as its window wants to know.

    Attributes:
        path: the messages from the root on; where not all are wanted, the system text at the
            beginning and the newest ones.
        skipped_turns: turns that lie between those.
        summary: of the messages up to one of the path, or before those that were read.
        counted: the tokens of replies by their numbers, as whoever made them has reported.
        has_erased: something of it was forgotten.
        window: what it was read for; None is all of it.
        told: how often the place knew by then that its past is told otherwise; see `Place.retold`.
    """

    path: tuple[Message, ...]
    skipped_turns: int = 0
    summary: Summary | None = None
    counted: Mapping[int, int] = {}
    has_erased: bool = False
    window: Window | None = None
    told: int = 0

    @property
    def head_seq(self) -> int | None:
        """The number of the message at its end; None where nothing was said."""
        return self.path[-1].seq if self.path else None

    def and_then(self, question: Message, reply: Message, usage: Usage | None) -> Past:
        """Return what is the past of the next question."""
        counted = self.counted
        if (tokens := told_tokens(usage)) is not None:
            counted = {**counted, reply.seq: tokens}
        return self._replace(path=(*self.path, question, reply), counted=counted)


def told_tokens(usage: Usage | None) -> int | None:
    """Return how many tokens a reply has that is told again: its reasoning is not."""
    if usage is None or usage.output_tokens is None:
        return None
    return usage.output_tokens - (usage.reasoning_tokens or 0)


class Said(NamedTuple):
    """What was said up to where a caller stands.

    Attributes:
        past: of which no message may still change by itself.
        last_seq: the highest seq of the conversation at that time. Whatever is added to a
            conversation, or changed in it or taken out of it, takes a new one: as long as this
            is the highest, the store says the same as *past*.
    """

    past: Past
    last_seq: int


MOST_ATTACHMENT_BYTES: Final = 64 * 1024 * 1024  # of one, where the store was not told otherwise
KEPT_CHARS: Final = 32_768  # of a path, in each conversation object; a longer one is read each time


class Opened:
    """What all conversations of an opened store share.

    Attributes:
        most_attachment_bytes: of one; a larger one is refused.
        window: what turns are sent, where neither they nor their conversation say.
        count_tokens: counts a text's tokens.
        swept: the owners whose dead replies were looked for already.
        summing: the conversations that are being summed up, or were tried to, by their ids.
    """

    def __init__(
        self,
        database: Database,
        pulse: Pulse,
        patience: Patience,
        most_attachment_bytes: int = MOST_ATTACHMENT_BYTES,
        *,
        window: Window = WHOLE,
        count_tokens: CountTokens = estimate_tokens,
    ) -> None:
        self.window, self.count_tokens = window, count_tokens
        self.database = database
        self.pulse = pulse
        self.patience = patience
        self.most_attachment_bytes = most_attachment_bytes
        self.swept: set[str] = set()
        self.summing: dict[str, Summing] = {}


class Summing(msgspec.Struct):
    """How summing a conversation up in the background goes.

    Attributes:
        task: does it; None before the first time.
        failures: how many times in a row it did not work.
        not_before_s: when it is tried again at the earliest, by the monotonic clock.
        room: tokens that may yet be said before there is too much, where a turn is not told all.
        limit: tokens that may be told before there is too much, as far as is known.
        error: why it did not work last.
    """

    task: asyncio.Task[None] | None = None
    failures: int = 0
    not_before_s: float = 0.0
    room: int = 0
    limit: int = 0
    error: Exception | None = None


class Fleeting(NamedTuple):
    """What an ephemeral conversation is in, and where it can be kept.

    Attributes:
        memory: the store that is in no file.
        home: opens the store itself, and gives its owner's id there, made if need be; with True,
            the one that it gave before was erased meanwhile.
    """

    memory: MemoryDatabase
    home: Callable[[bool], Awaitable[tuple[Opened, str]]]


_SETTLED: Final = frozenset({"completed", "stopped"})  # others may yet be finished, or adopted


class Place:
    """Where a caller stands: the record as last seen, and its own head.

    Attributes:
        record: replaced after each verb.
        head_seq: where this caller goes on; the stored head may be elsewhere by now.
        remote: what the far side keeps of the message at the head.
        home_url: the server that knows the conversation's anonymous user id, which goes to no
            other one; None while no server does.
        window: what its turns are sent, where they do not say; None is as the store has it.
        compacted: it has summaries, as far as is known.
        said: what was said up to the head, where that is known and not too long to be kept.
        told: how often its past came to be told otherwise, by a summary that was made or taken away.
        fleeting: of an ephemeral conversation, until it is kept; None of any other.
        room: the key by which the caller has it, also where that has gone to another one; None is none.
        successor: where its room goes on, once that is another conversation; turns that run end here.
        keeping: keeps it, as long as that takes.
    """

    def __init__(
        self,
        opened: Opened,
        owner_id: str,
        record: ConversationRecord,
        remote: RemoteThread | None,
        home_url: str | None,
        *,
        compacted: bool = False,
        fleeting: Fleeting | None = None,
    ) -> None:
        self.opened = opened
        self.database, self.pulse = opened.database, opened.pulse
        self.owner_id = owner_id
        self.record = record
        self.head_seq = record.head_seq
        self.remote = remote
        self.home_url = home_url
        self.window: Window | None = None
        self.compacted = compacted
        self.told = 0
        self.said: Said | None = Said(Past(()), 0) if record.last_seq == 0 else None
        self.fleeting = fleeting
        self.room = record.key
        self.successor: Place | None = None
        self.keeping: asyncio.Task[None] | None = None
        self._forsaken: asyncio.Future[None] | None = None

    def identity_at(self, server_url: str) -> str:
        """Return who this conversation is at a server."""
        return identity_at(self.record.anonymous_user_id or "", self.home_url, server_url)

    def forsake(self, ending: Coroutine[Any, Any, None]) -> None:
        """End in the background a turn that nobody waits for; the next turn begins after it."""
        self._forsaken = asyncio.ensure_future(ending)
        self.pulse.see_through(self._forsaken)

    async def settled(self) -> None:
        """Wait until a forsaken turn has ended: then it is known where the caller stands."""
        while self._forsaken is not None and not self._forsaken.done():
            await asyncio.wait({self._forsaken})

    def recalled(self, window: Window) -> Said | None:
        """Return what is known to be said up to the head, if it is, and is enough for *window*."""
        said = self.said
        if said is None or said.past.head_seq != self.head_seq:
            return None
        return said if said.past.window is None or said.past.window == window else None

    def retold(self) -> None:
        """Read the past again: it is told otherwise now, also after a turn that runs meanwhile."""
        self.told += 1
        self.said = None

    def went_on(self, past: Past, question: Message, reply: Message, usage: Usage | None) -> None:
        """Keep what was said up to the head, so that the next turn need not read it again."""
        past = past.and_then(question, reply, usage)
        settled = all(one.status in _SETTLED for one in past.path)
        short = sum(len(one.text) for one in past.path) <= KEPT_CHARS
        known = settled and short and past.told == self.told
        self.said = Said(past, reply.seq) if known else None

    def changed(self, change: Change) -> None:
        """Stand where a write has left the conversation's own head."""
        self.record = msgspec.structs.replace(self.record, **msgspec.structs.asdict(change))
        self.head_seq, self.remote = change.head_seq, None

    def kept(self, opened: Opened, owner_id: str, *, handle: str) -> None:
        """Stand in the store itself from now on, at the same message of the same conversation."""
        self.opened = opened
        self.database, self.pulse = opened.database, opened.pulse
        self.owner_id, self.fleeting = owner_id, None
        self.record = msgspec.structs.replace(self.record, handle=handle)

    def goes_on(self, record: ConversationRecord, far: FarSide) -> Place:
        """Let the room go on in another conversation, and return where."""
        remote, home_url, compacted = far
        new = Place(
            self.opened,
            self.owner_id,
            record,
            remote,
            home_url,
            compacted=compacted,
            fleeting=self.fleeting,
        )
        new.window, self.successor = self.window, new
        return new

    def ended(self, running_seq: int, message: Message, remote: RemoteThread | None) -> None:
        """Stand at the reply *message*, which was just stored, if the caller still stands there.

        It may have gone elsewhere while the reply *running_seq* ran: it asked in other words, or
        switched.
        """
        if self.head_seq == running_seq:
            self.head_seq, self.remote = message.seq, remote
        record = self.record
        self.record = msgspec.structs.replace(
            record,
            last_seq=max(record.last_seq, message.seq),
            model=record.model or message.model,
            updated_at_ms=max(record.updated_at_ms, message.finished_at_ms or 0),
        )


class Placed:
    """Somebody who stands in a conversation, and goes on where its room does."""

    _at: Place

    @property
    def _place(self) -> Place:
        """Where this caller stands: where its room goes on, as far as that is known."""
        while self._at.successor is not None:
            self._at = self._at.successor
        return self._at
