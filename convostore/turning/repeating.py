"""A question that was asked before, with the same key: what is stored of it, and of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convostore.carrying import contents_of
from convostore.errors import DuplicateKeyError, MessageNotFoundError
from convostore.storage import reads
from convostore.turning.recovery import adopt, is_answer, is_unsettled

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import Message
    from convostore.storage.database import Database
    from convostore.storage.exchanges import KnownKey
    from convostore.turning.asking import Ask
    from convostore.turning.place import Place


class Repeated(NamedTuple):
    """What is stored of a question.

    Attributes:
        replies: all answers to it, in order.
        reply: the one to be returned, or followed; where its answers were forgotten, the last of
            those, without its text; None where it has to be asked again.
        is_here: it is in the conversation at hand, and not in one of the same key that was set aside.
    """

    user: Message
    replies: tuple[Message, ...]
    reply: Message | None
    is_here: bool


async def repeated(place: Place, known: KnownKey, ask: Ask, provider: Provider) -> Repeated:
    """Read what is stored of a question that was asked before, in whatever conversation.

    In one that was set aside nothing is asked any more: what there is of an answer is returned.

    Raises:
        DuplicateKeyError: the key belongs to another text.
        MessageNotFoundError: it was set aside or forgotten before it was answered.
        ProviderError: whether the far side has kept an answer cannot be found out now.
        StoreError: the store cannot be read or written.
    """
    is_here = known.conversation_id == place.record.id
    at = (place.database, place.owner_id, known.conversation_id)
    user = await reads.message_at(*at, known.user_seq)
    if user.status != "erased":
        _see_that_it_is_the_same(user, ask)
    replies = await _answers(*at, known.user_seq)
    if is_here and replies and is_unsettled(replies[-1]):
        await adopt(place, replies[-1], provider)
        replies = await _answers(*at, known.user_seq)
    found = (
        [one for one in replies if is_answer(one)]
        or [one for one in replies if one.status == "streaming"]
        or [one for one in replies if one.status == "erased"]  # and is not to come back
    )
    if not found and (not is_here or user.status == "erased"):
        found = list(replies)
        if not found:
            gone = "set aside" if user.status != "erased" else "forgotten"
            raise MessageNotFoundError(f"the question was {gone} before it was answered")
    return Repeated(user, replies, found[-1] if found else None, is_here)


async def _answers(
    database: Database, owner_id: str, conversation_id: str, seq: int
) -> tuple[Message, ...]:
    """Read the replies to a message; of what was appended, others may ask right below."""
    below = await reads.answers(database, owner_id, conversation_id, seq)
    return tuple(one for one in below if one.role == "assistant")


def _see_that_it_is_the_same(user: Message, ask: Ask) -> None:
    if user.text != ask.text or contents_of(user.parts) != contents_of(ask.parts):
        raise DuplicateKeyError(
            "the idempotency key belongs to another text", hint="make a new key for each question"
        )
