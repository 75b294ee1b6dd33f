"""The attachments of a question: taken in before it is stored, and refused where nobody takes them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.carrying import checked, give_out, take_in
from convostore.errors import (
    AttachmentRefusedError,
    ConversationNotFoundError,
    ProviderTimeoutError,
)
from convostore.parts import AttachmentPart
from convostore.providers.faults import FaultsOf
from convostore.providers.provider import takes_attachments
from convostore.storage.owner_rows import OwnerGone
from convostore.turning.place import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence

    from convostore.carrying import Source
    from convostore.providers.provider import ChatRequest, Provider
    from convostore.records import Message
    from convostore.turning.place import Place


PATIENCE: Final = Patience()


async def handed_in(
    place: Place, provider: Provider, given: Sequence[Source | AttachmentPart]
) -> tuple[AttachmentPart, ...]:
    """Return what is attached to a question, its bytes on disk.

    Raises:
        AttachmentRefusedError: the provider takes none; nothing was taken in.
        AttachmentError: one cannot be read, or is too large.
        ConversationNotFoundError: the conversation is gone, with its owner.
        StoreError: the store cannot be written.
    """
    if given and not takes_attachments(provider):
        raise takes_none(provider)
    return tuple([await _handed_in(place, one) for one in given])


async def _handed_in(place: Place, one: Source | AttachmentPart) -> AttachmentPart:
    if isinstance(one, AttachmentPart):
        return checked(one, "what is attached")
    part = await take_in(
        place.database,
        place.owner_id,
        one,
        name=None,
        media_type=None,
        most_bytes=place.opened.most_attachment_bytes,
    )
    if isinstance(part, OwnerGone):
        raise ConversationNotFoundError(
            f"there is no conversation {place.record.id}: its owner was erased",
            hint="see them all: convostore list",
        )
    return part


async def checked_request(
    provider: Provider, request: ChatRequest, patience: Patience = PATIENCE
) -> None:
    """Let the provider refuse what cannot work, before anything of the turn is stored.

    Args:
        provider: who is asked.
        request: what.
        patience: how long it may take to look at what is attached: as long as it may be silent.

    Raises:
        ProviderError: with a hint; permanent.
    """
    name, idle_s = provider.name, patience.limits_of(provider).idle_timeout_s
    with FaultsOf(name):
        checked = provider.check(request)  # type: ignore[func-returns-value]  # a plugin's may
        if asyncio.iscoroutine(checked):
            checked.close()
            raise TypeError("check() is no plain function, but async")
        if any(one.attachments for one in request.messages) and takes_attachments(provider):
            await _within(idle_s, provider.check_attachments(request), name)


async def _within(bound_s: float, work: Coroutine[Any, Any, None], provider: str) -> None:
    """Wait for a provider's *work*, which is left alone where it takes longer, whatever it catches."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_heard)
    try:
        await asyncio.wait({task}, timeout=bound_s)
    finally:
        task.cancel()
    if not task.done():
        raise ProviderTimeoutError(
            f"{provider} took longer than {bound_s:g} s to look at what is attached",
            provider=provider,
            hint="nothing was stored; ask again, or raise idle_timeout_s",
        )
    task.result()


def _heard(task: asyncio.Task[None]) -> None:
    """Take notice of how forsaken work ended, else the loop complains."""
    if not task.cancelled():
        task.exception()


def readable(place: Place, request: ChatRequest) -> ChatRequest:
    """Return a request with a way to its attachments, if it has any."""
    if not any(one.attachments for one in request.messages):
        return request
    return msgspec.structs.replace(request, reader=_reader(place))


def attachments_of(message: Message) -> tuple[AttachmentPart, ...]:
    """Return what is attached to a stored message."""
    return tuple(part for part in message.parts if isinstance(part, AttachmentPart))


def _reader(place: Place) -> Callable[[AttachmentPart], AsyncGenerator[bytes]]:
    return lambda part: give_out(place.database, place.owner_id, part)


def takes_none(provider: Provider) -> AttachmentRefusedError:
    """Return the error of a provider that takes no attachments at all."""
    return AttachmentRefusedError(
        f"{provider.name} takes no attachments",
        provider=provider.name,
        hint="ask a provider that does, or leave the attachments out",
    )
