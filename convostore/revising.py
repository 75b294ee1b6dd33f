"""Asking what was asked before: another answer to a question, or the question in other words."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from convostore.errors import MessageNotFoundError, ProviderOptionError
from convostore.providers.provider import takes_tools
from convostore.storage import lookup, reads
from convostore.storage.exchanges import KnownKey
from convostore.turning.appending import once_key
from convostore.turning.begun import BegunTurn
from convostore.turning.handing import attachments_of, checked_request
from convostore.turning.naming import named, number_here, number_of
from convostore.turning.opening import Opening
from convostore.turning.recovery import adopt, is_unsettled

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import Message
    from convostore.turning.asking import Ask
    from convostore.turning.place import Place


class Editing(Opening):
    """The beginning of a turn that asks a question in other words, beside the first ones.

    What is attached to the question stays attached to it. Where it is named by its idempotency key,
    the other words are known by that key as well, and are asked once: an edit that a platform
    tells twice needs no key of its own.
    """

    def __init__(self, ask: Ask, provider: Provider, at: str | int) -> None:
        super().__init__(ask, provider)
        self._at = at
        self._by_key = False

    def _once_key(self, place: Place) -> str | None:
        if not self._by_key:
            return super()._once_key(place)
        version = self._ask.idempotency_key
        if version in {None, self._at}:  # a platform's edit has the id of what was edited
            version = hashlib.sha256(self._ask.text.encode()).hexdigest()
        return once_key(place, str(self._at), str(version))

    async def _try(self, place: Place) -> BegunTurn:
        on_moved, as_of = await self._look(place), await _last_seq(place)
        found = await named(place, self._at)
        self._by_key = found.by_key
        *above, question = await path_to(place, number_here(place, self._at, found))
        if question.role != "user":
            raise MessageNotFoundError(
                f"message {question.seq} is no question: its role is {question.role}",
                hint="edit the question above it",
            )
        self._ask = msgspec.structs.replace(self._ask, attachments=attachments_of(question))
        path = tuple(above)
        await self._asks_after(place, path)
        await checked_request(self.provider, self.request, place.opened.patience)
        user = self._question(place)
        below_seq = path[-1].seq if path else None
        outcome = await self._write(place, user, on_moved, below_seq=below_seq, as_of=as_of)
        if isinstance(outcome, KnownKey):
            return await self._known(place, outcome)
        return self._begun(place, path, user, outcome)


class Regenerating(Opening):
    """The beginning of a turn that asks for another answer to a question."""

    def __init__(self, ask: Ask, provider: Provider, at: str | int | None) -> None:
        super().__init__(ask, provider)
        self._at = at

    def _check(self) -> None:
        self._ask.check_options()

    async def _try(self, place: Place) -> BegunTurn:
        on_moved, as_of = await self._look(place), await _last_seq(place)
        *above, question = await self._asked(place)
        self._ask = msgspec.structs.replace(
            self._ask,
            text=question.text,
            author=question.author,
            attachments=attachments_of(question),
        )
        replies = await reads.answers(place.database, place.owner_id, place.record.id, question.seq)
        if replies and is_unsettled(replies[-1]) and await adopt(place, replies[-1], self.provider):
            # The far side had kept another answer than the one that is known: it is the wanted one.
            return await self._known(place, _known(place, question))
        await self._asks_after(place, tuple(above))
        await checked_request(self.provider, self.request, place.opened.patience)
        outcome = await self._write(
            place, None, on_moved, below_seq=question.seq, again=True, as_of=as_of
        )
        if isinstance(outcome, KnownKey):
            return await self._known(place, outcome)
        return BegunTurn(
            user=question,
            reply=self._running(place, question, outcome),
            branched=outcome.begun.branched,
            lease=outcome.lease,
        )

    async def _asked(self, place: Place) -> tuple[Message, ...]:
        """Return the messages from the root to the question to be answered again."""
        path = await path_to(place, self._at)
        while path and path[-1].role != "user":
            path = path[:-1]
        if not path:
            raise MessageNotFoundError("there is no question to answer again", hint="ask one first")
        if path[-1].status == "erased":
            raise MessageNotFoundError(
                f"message {path[-1].seq}, the question, was erased on request",
                hint=f"ask in other words: convostore edit REF {path[-1].seq}",
            )
        return path


class Proceeding(Opening):
    """The beginning of a turn that answers what was said last, and adds no question to it.

    It is the same as the repeat of a question with its idempotency key: whoever comes second gets
    the answer that is there, or follows the one that is being made.
    """

    def _check(self) -> None:
        self._ask.check_options()

    async def _try(self, place: Place) -> BegunTurn:
        await self._look(place)
        path = (await self._path(place)).path
        while path and path[-1].role == "assistant":
            path = path[:-1]
        last = path[-1] if path else None
        if last is None or last.role == "system" or last.status == "erased":
            raise MessageNotFoundError(
                "there is nothing to answer", hint="append a message first, or ask a question"
            )
        if last.role == "tool" and not takes_tools(self.provider):
            raise ProviderOptionError(
                f"{self.provider.name} takes no results of tools, and the last message is one",
                provider=self.provider.name,
                hint="ask a provider that does, or ask a question",
            )
        self._ask = msgspec.structs.replace(
            self._ask,
            text=last.text,
            author=last.author,
            attachments=attachments_of(last),
            stored=last,
        )
        return await self._known(place, _known(place, last))


async def path_to(place: Place, at: str | int | None) -> tuple[Message, ...]:
    """Read the messages from the root to one that is named by its id, number or idempotency key.

    Args:
        place: the conversation.
        at: None is where the caller stands.

    Raises:
        MessageNotFoundError: the conversation has no such message.
        StoreError: the store cannot be read.
    """
    where = (place.database, place.owner_id, place.record.id)
    return await reads.path(*where, place.head_seq if at is None else await number_of(place, at))


async def _last_seq(place: Place) -> int:
    """Read up to where the conversation is known, before anything of it is read."""
    record = await lookup.conversation_by_id(place.database, place.owner_id, place.record.id)
    return record.last_seq


def _known(place: Place, question: Message) -> KnownKey:
    return KnownKey(conversation_id=place.record.id, user_seq=question.seq, text=question.text)
