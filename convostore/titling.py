"""A title made by the conversation's own provider, apart from the conversation itself.

The exchange is no turn: nothing of it is stored as a message, it takes no lease and moves no head,
and the far side is asked in a remote thread of its own. A turn may begin or run meanwhile. It is
counted as a model call of the conversation, however it ends.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import msgspec

from convostore import clock
from convostore.errors import IncompleteReplyError, ProviderError, ProviderTimeoutError
from convostore.events import Finished, TextDelta
from convostore.ids import new_id
from convostore.providers.provider import ChatMessage, ChatRequest
from convostore.storage import lookup, reads
from convostore.storage.calls import CountCall, count_calls
from convostore.storage.ordering import Arrange, Arranged, arrange_conversations, is_own
from convostore.text import LONGEST_TITLE, fallback_title
from convostore.turning.afterwards import close
from convostore.turning.handing import checked_request
from convostore.turning.listening import Listener, start
from convostore.turning.place import Limits
from convostore.turning.reply import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.providers.provider import Provider
    from convostore.records import Message
    from convostore.turning.place import Place

TITLE_TIMEOUT_S: Final = 30.0
_MOST_SAID: Final = 4000  # characters that are listened to; a title comes sooner, or never
_MOST_MESSAGES, _MOST_OF_EACH = 4, 1000  # of the conversation: what is told of it
_TELL: Final = (
    "Above are messages of a conversation, one JSON object a line. Write a title for it: at most "
    "six words, in the language of the conversation, on one line, without quotation marks. "
    "Answer with the title alone."
)
_HINT: Final = "the title stays as it is; ask again, or another model"
_THOUGHT = re.compile(
    r"<(think|thinking|reasoning|thought)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE
)
_THOUGHT_END = re.compile(r"\A.*</(think|thinking|reasoning|thought)>", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"\A(the |a |chat |conversation )*title( is)?\s*[:\uff1a\u2013\u2014-]\s*", re.IGNORECASE
)
_AROUND = " \t#*_`>\"'“”„«»‘’"  # noqa: RUF001 - quotation marks of many languages


class Titled(msgspec.Struct, frozen=True, kw_only=True):
    """How a conversation is called after a title was asked for.

    Attributes:
        title: as it is now; None while there is not even a first question.
        source: who chose it; `generated` when this was of use.
        error: why no title was made; None also where the title that is there is somebody's own.
    """

    title: str | None
    source: str | None
    error: ProviderError | None = None


async def generate_title(
    place: Place, provider: Provider, *, model: str | None, timeout_s: float
) -> Titled:
    """Ask *provider* for a title and keep it, unless somebody chose one; else the fallback stays.

    Args:
        place: the conversation; its record is replaced.
        provider: who is asked.
        model: None is the conversation's, where it is this provider's.
        timeout_s: how long all of it may take.

    Raises:
        StoreError: the store cannot be read or written, or the conversation is gone.
    """
    at = (place.database, place.owner_id, place.record.id)
    record = await lookup.conversation_by_id(*at)
    path = await reads.path(*at, record.head_seq)
    first = next((one.text for one in path if one.role == "user" and one.text.strip()), None)
    if first is None or is_own(record.title, record.title_source):
        return Titled(title=record.title, source=record.title_source)
    words, error = None, None
    try:
        request = _request(place, provider.name, path, model)
        await checked_request(provider, request)
        words = title_in(await _said(place, provider, request, timeout_s))
    except ProviderError as raised:
        error = raised
        if isinstance(raised, ProviderTimeoutError | IncompleteReplyError):
            error.hint = _HINT  # theirs speaks of a reply that is kept
    if words is None and error is None:
        error = ProviderError("the answer has no title in it", provider=provider.name, hint=_HINT)
    line = fallback_title(first)
    job = Arrange(
        conversation_id=place.record.id,
        now_ms=clock.now_ms(),
        title=words or line or msgspec.UNSET,
        title_source="generated" if words else "fallback",
    )
    arranged: Arranged = await place.database.write(arrange_conversations, place.owner_id, job)
    place.record = msgspec.structs.replace(place.record, **arranged.fields())
    return Titled(title=arranged.title, source=arranged.title_source, error=error)


def _request(
    place: Place, provider_name: str, path: Sequence[Message], model: str | None
) -> ChatRequest:
    """Return the model call: the first messages and the last ones, as data, and what to do."""
    said = [one for one in path if one.text.strip() and one.role in {"user", "assistant"}]
    half = _MOST_MESSAGES // 2
    told = said if len(said) <= _MOST_MESSAGES else [*said[:half], *said[-half:]]
    lines = [
        msgspec.json.encode({"role": one.role, "content": one.text[:_MOST_OF_EACH]}).decode()
        for one in told
    ]
    question = "\n".join((*lines, "", _TELL))
    record = place.record
    other = record.provider not in {None, provider_name}
    return ChatRequest(
        messages=(ChatMessage("user", question),),
        model=model or (None if other else record.model),
        anonymous_user_id=record.anonymous_user_id or "",
        home_url=place.home_url,
        question=question,
    )


async def _said(place: Place, provider: Provider, request: ChatRequest, timeout_s: float) -> str:
    """Listen until there is a whole line that is a title, or the answer ends; count the call.

    Raises:
        ProviderError: any kind, also after *timeout_s*.
        StoreError: the call could not be counted.
    """
    limits = Limits(idle_timeout_s=timeout_s, total_timeout_s=timeout_s)
    listener = Listener(provider.name, limits)
    events = start(provider, request)
    said, end = "", None
    try:
        while len(said) < _MOST_SAID and end is None:
            event = await listener.next(events, asyncio.current_task())
            if isinstance(event, Finished):
                end = event
                said = said if end.text is None else end.text
            elif isinstance(event, TextDelta):
                said += event.text
                if "\n" in event.text and title_in(said.rpartition("\n")[0]) is not None:
                    break
    finally:
        listener.close()
        await close(events)
        await _count(place, provider.name, request.model, end)
    return said


async def _count(place: Place, provider: str, model: str | None, end: Finished | None) -> None:
    """Keep what the call cost, as far as it was told; who is cancelled does not wait for it.

    Raises:
        StoreError: the store cannot be written.
    """
    told = storable(end or Finished())
    call = CountCall(
        id=new_id(),
        conversation_id=place.record.id,
        provider=provider,
        model=told.model or model,
        used=told.usage,
        now_ms=clock.now_ms(),
    )
    write = asyncio.ensure_future(place.database.write(count_calls, place.owner_id, call))
    place.pulse.see_through(write)
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        await asyncio.shield(write)


def title_in(said: str) -> str | None:
    """Return the title that a model's answer gives, without reasoning and decoration; None if none."""
    visible = _THOUGHT_END.sub("", _THOUGHT.sub("", said))
    for line in visible.splitlines():
        words = "".join(one if one.isprintable() else " " for one in line)
        words = _LABEL.sub("", words.strip(_AROUND)).strip(_AROUND)
        words = " ".join(words.split()).removesuffix(".")
        if any(one.isalnum() for one in words) and not _LABEL.match(f"{words}:"):
            return words if len(words) <= LONGEST_TITLE else words[: LONGEST_TITLE - 1] + "…"
    return None
