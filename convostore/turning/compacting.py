"""Compaction: what is older is summed up by the provider, and the summary is told in its place.

The exchange is no turn: it takes no lease of a reply and moves no head, and nobody waits for it. The
messages stay as they are. Where it fails, everything is as before, and it is tried again later.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from convostore import clock
from convostore.errors import ConvostoreError, ProviderError, StoreClosedError
from convostore.events import Finished, TextDelta
from convostore.ids import new_id, new_token
from convostore.overlay import Summary
from convostore.providers.provider import ChatRequest, is_one_at_a_time, model_to_ask
from convostore.storage import leases
from convostore.storage.leases import new_lease
from convostore.storage.summaries import (
    ClaimSummary,
    FinishSummary,
    claim_summaries,
    finish_summaries,
)
from convostore.turning.afterwards import close
from convostore.turning.asking import counter_of
from convostore.turning.handing import checked_request
from convostore.turning.listening import Listener, start
from convostore.turning.looking import past_of
from convostore.turning.place import Summing
from convostore.turning.reply import cleaned, storable
from convostore.views.asked import who_is_asked
from convostore.views.summing import summary_in, summing_up
from convostore.views.viewing import weighed
from convostore.views.window import WHOLE, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.providers.provider import Provider
    from convostore.records import Message
    from convostore.turning.place import Place
    from convostore.views.asked import Asked
    from convostore.views.viewing import View, Weighed

PAUSE_S: Final = 60.0  # after a failure, and twice as long after each further one
LONGEST_PAUSE_S: Final = 3600.0
_log = logging.getLogger(__name__)
_COUNTED: Final = Window(compact_above=1)  # all of it, with what providers have counted


class Wish(NamedTuple):
    """How much is summed up.

    Attributes:
        above: only where more tokens than these would be told.
        at_once: the most tokens that one call is told.
        keep_turns: so many of the newest turns stay as they are, at least one; None is those that
            take half of what may be told besides the system text.
    """

    above: int
    at_once: int
    keep_turns: int | None = None


class Background:
    """A task that goes on beside the turns, and ends with the store."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task

    def tick(self) -> None:
        """Do nothing: there is nothing to flush."""

    async def stop(self) -> None:
        """End it; what is not stored by now is not."""
        self.task.cancel()
        await asyncio.wait({self.task})


def compact_later(
    place: Place, provider: Provider, window: Window, seen: View | None, reply: Message
) -> None:
    """Sum up in the background what is older, if there is more than the window wants."""
    limit = window.compact_above
    if limit is None or reply.status not in {"completed", "stopped"}:
        return
    try:
        added = place.opened.count_tokens(reply.text)
        asked = place.opened.count_tokens("" if seen is None else seen.question)
    except Exception:  # noqa: BLE001 - the caller's own; the next turn raises it, before it begins
        return
    told = None if seen is None or seen.dropped_turns else seen.tokens
    state = place.opened.summing.get(place.record.id) or Summing()
    state.room -= added + asked
    is_much = state.room <= 0 if told is None else told + added > max(limit, state.limit)
    running = state.task is not None and not state.task.done()
    if not is_much or running or clock.monotonic_s() < state.not_before_s:
        return
    place.opened.summing[place.record.id] = state
    wish = Wish(above=limit, at_once=limit)
    state.task = asyncio.get_running_loop().create_task(_try(place, provider, wish, state))
    background = Background(state.task)
    try:
        place.pulse.add(background)
    except StoreClosedError:
        state.task.cancel()
        return
    state.task.add_done_callback(lambda _: place.pulse.remove(background))


async def give_way(place: Place, provider: Provider) -> None:
    """Stop summing up with a provider that does one thing at a time: a turn wants it."""
    if is_one_at_a_time(provider):
        running = [one.task for one in place.opened.summing.values() if one.task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _try(place: Place, provider: Provider, wish: Wish, state: Summing) -> None:
    try:
        while await compact(place, provider, wish) is not None:
            pass
    except Exception as error:  # noqa: BLE001 - whatever it is, no turn may feel it
        state.error = error
        pause_s = min(PAUSE_S * 2**state.failures, LONGEST_PAUSE_S)
        state.failures, state.not_before_s = state.failures + 1, clock.monotonic_s() + pause_s
        _log.warning(  # not in the server's words: those may repeat what was said
            "no summary of %s came about: %s; tried again after %d s at the earliest",
            place.record.handle,
            getattr(error, "code", type(error).__name__),
            pause_s,
        )
    else:
        state.failures, state.error = 0, None


async def compact(
    place: Place, provider: Provider, wish: Wish, *, model: str | None = None
) -> Summary | None:
    """Sum up what is older, as much as one call is told; None where there is nothing to do.

    Raises:
        ProviderError: no summary was made; everything is as before.
        StoreError: the store cannot be read or written.
    """
    place.compacted = True  # perhaps by somebody else: it is looked for
    past = await past_of(place, _COUNTED, place.head_seq)
    if place.said is not None and place.said.past.summary != past.summary:
        place.retold()  # somebody else has made one, or taken it away
    record = place.record
    other = record.provider not in {None, provider.name}  # then model and settings are not its
    named = model or (None if other else record.model)
    asked = who_is_asked(provider, model_to_ask(provider, named))
    tools = None if other else record.settings.get("tools")
    counter = counter_of(place, past, asked)
    found = weighed(past.path, asked, counter, past.summary)
    fixed = found.fixed + (counter.json(tools) if tools else 0)
    spare = max(wish.above - fixed, wish.above // 2)
    if (state := place.opened.summing.get(record.id)) is not None:
        state.room = max(0, spare - sum(found.sizes))
        state.limit = fixed + spare
    older = _older(found, wish, spare)
    if not older or older[-1].status == "streaming":
        return None
    token, now_ms = new_token(), clock.now_ms()
    claim = ClaimSummary(
        conversation_id=record.id,
        message_seq=older[-1].seq,
        lease=new_lease(token, now_ms),
        now_ms=now_ms,
    )
    leases.hold(token, asyncio.get_running_loop())
    try:
        if await place.database.write(claim_summaries, place.owner_id, claim):
            since = 0 if past.summary is None else past.summary.message_seq
            seqs = {one.seq for one in older}
            wanted = _Wanted(seqs, since, wish.at_once // 4, asked)
            made = await _made(place, provider, claim, wanted)
        else:
            made = None
    except BaseException:
        await _give_back(place, claim)
        leases.abandon(token)
        raise
    leases.let_go(token)
    if made is not None:
        place.retold()
    return made


class _Wanted(NamedTuple):
    """What was chosen to be summed up.

    Attributes:
        seqs: the messages.
        since: where the summary before them ends; 0 if there is none.
        most_tokens: how long the new one may be, about.
        asked: who is asked.
    """

    seqs: set[int]
    since: int
    most_tokens: int
    asked: Asked


async def _request(place: Place, upto: int, wanted: _Wanted) -> ChatRequest | None:
    """Return what asks for a summary; None where another one was made, or taken away, meanwhile.

    The messages are read again now that the claim is there: what was forgotten before it is not
    in them, and forgetting after it takes the claim away.
    """
    past = await past_of(place, WHOLE, upto)
    if wanted.since != (0 if past.summary is None else past.summary.message_seq):
        return None
    older = [one for one in past.path if one.seq in wanted.seqs]
    tools = wanted.asked.tools
    asking = summing_up(older, past.summary, most_tokens=wanted.most_tokens, tools=tools)
    return ChatRequest(
        messages=(asking,),
        model=wanted.asked.model,
        anonymous_user_id=place.record.anonymous_user_id or "",
        home_url=place.home_url,
        question=asking.text,
    )


async def _made(
    place: Place, provider: Provider, claim: ClaimSummary, wanted: _Wanted
) -> Summary | None:
    """Ask, and store what comes; None where what it sums up was forgotten or removed meanwhile."""
    request = await _request(place, claim.message_seq, wanted)
    if request is None:
        await _give_back(place, claim)
        return None
    await checked_request(provider, request)
    said, finished = await _said(place, provider, request)
    text = summary_in(cleaned(said))
    why = None
    if text is None:
        why = "the answer has no summary in it"
    elif len(text) >= len(request.question):
        why = "the summary is longer than what it sums up"
    job = FinishSummary(
        conversation_id=claim.conversation_id,
        message_seq=claim.message_seq,
        lease=claim.lease,
        now_ms=clock.now_ms(),
        text=None if why else text,
        call_id=new_id(),
        provider=provider.name,
        model=finished.model or request.model,
        usage=finished.usage,
    )
    stored = await place.database.write(finish_summaries, place.owner_id, job)
    if text is None or why is not None:
        hint = "nothing has changed; try another model"
        raise ProviderError(why or "", provider=provider.name, hint=hint)
    if not stored:
        return None
    return Summary(
        message_seq=job.message_seq,
        text=text,
        provider=job.provider,
        model=job.model,
        created_at_ms=job.now_ms,
    )


async def _give_back(place: Place, claim: ClaimSummary) -> None:
    """Let others try: no summary comes of this claim, which may be stored or not."""
    job = FinishSummary(
        conversation_id=claim.conversation_id,
        message_seq=claim.message_seq,
        lease=claim.lease,
        now_ms=clock.now_ms(),
    )
    with suppress(ConvostoreError, StoreClosedError):
        await place.database.write(finish_summaries, place.owner_id, job)


async def _said(place: Place, provider: Provider, request: ChatRequest) -> tuple[str, Finished]:
    """Listen to the end of the answer.

    Raises:
        ProviderError: any kind.
    """
    listener = Listener(provider.name, place.opened.patience.limits_of(provider))
    events = start(provider, request)
    pieces: list[str] = []
    try:
        while not isinstance(
            event := await listener.next(events, asyncio.current_task()), Finished
        ):
            if isinstance(event, TextDelta):
                pieces.append(event.text)
    finally:
        listener.close()
        await close(events)
    said = "".join(pieces) if event.text is None else event.text
    return said, storable(event)


def _older(found: Weighed, wish: Wish, spare: int) -> list[Message]:
    """Return what is to be summed up: the oldest turns, as much as one call is told.

    Args:
        found: what would be told.
        wish: how much is summed up.
        spare: the tokens that turns may have.
    """
    sizes = found.sizes
    if sum(sizes) <= spare:
        return []
    kept = _fitting(sizes[::-1], spare // 2) if wish.keep_turns is None else wish.keep_turns
    older = found.turns[: max(0, len(sizes) - kept)]
    told = _fitting(sizes[: len(older)], wish.at_once)
    return [one for turn in older[:told] for one in turn]


def _fitting(sizes: Sequence[int], most: int) -> int:
    """Return how many of the first sizes fit; the first one does in any case."""
    tokens = 0
    for count, size in enumerate(sizes):
        tokens += size
        if count and tokens > most:
            return count
    return len(sizes)
