"""Asking what was asked before: another answer to a question, or the question in other words."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from convostore.errors import MessageNotFoundError, ProviderOptionError
from convostore.parts import ToolCallPart, ToolResultPart
from convostore.providers.provider import takes_tools
from convostore.storage import lookup, reads
from convostore.storage.exchanges import KnownKey
from convostore.turning.appending import once_key
from convostore.turning.begun import BegunTurn, OutdatedError
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
        self._again: int | None = None  # after which other words the same are asked once more

    def _stays(self) -> bool:
        return isinstance(self._at, int)

    def _once_key(self, place: Place) -> str | None:
        if not self._by_key:
            return super()._once_key(place)
        version = self._ask.idempotency_key
        if version in {None, self._at}:  # a platform's edit has the id of what was edited
            version = hashlib.sha256(self._ask.text.encode()).hexdigest()
        again = () if self._again is None else (str(self._again),)
        return once_key(place, str(self._at), str(version), *again)

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
        if self._by_key and question.status == "erased":
            raise MessageNotFoundError(
                f"message {question.seq} was forgotten, and is not asked in other words",
                hint="ask a new question",
            )
        self._ask = msgspec.structs.replace(self._ask, attachments=attachments_of(question))
        path = tuple(above)
        await self._asks_after(place, path)
        await checked_request(self.provider, self.request, place.opened.patience)
        user = self._question(place)
        below_seq = path[-1].seq if path else None
        outcome = await self._write(place, user, on_moved, below_seq=below_seq, as_of=as_of)
        if isinstance(outcome, KnownKey):
            newest = found.seqs[-1]
            if self._by_key and question.text == self._ask.text:
                return await self._known(place, _known(place, question))
            if self._by_key and outcome.user_seq < newest and self._again != newest:
                self._again = newest  # other words came between: these are the newest now
                raise OutdatedError
            return await self._known(place, outcome)
        return self._begun(place, path, user, outcome)


class Regenerating(Opening):
    """The beginning of a turn that asks for another answer to a question."""

    def __init__(self, ask: Ask, provider: Provider, at: str | int | None) -> None:
        super().__init__(ask, provider)
        self._at = at

    def _stays(self) -> bool:
        return isinstance(self._at, int)

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

    def __init__(self, ask: Ask, provider: Provider, below: str | int | None) -> None:
        super().__init__(ask, provider)
        self._below = below

    def _stays(self) -> bool:
        return isinstance(self._below, int)

    def _check(self) -> None:
        self._ask.check_options()

    async def _try(self, place: Place) -> BegunTurn:
        path = await self._asked(place)
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
        await _see_that_it_was_called(place, path)
        self._ask = msgspec.structs.replace(
            self._ask,
            text=last.text,
            author=last.author,
            attachments=attachments_of(last),
            stored=last,
        )
        return await self._known(place, _known(place, last))

    async def _asked(self, place: Place) -> tuple[Message, ...]:
        """Return the messages from the root to the one to be answered, as far as they are read."""
        if self._below is not None:
            await self._look(place)
            return await path_to(place, self._below)
        stood = place.head_seq
        await self._look(place)
        if stood not in {None, place.head_seq}:  # others went on since: first what is ours
            own = (await self._past(place, stood)).path
            at = (place.database, place.owner_id, place.record.id, own[-1].seq)
            ours = own[-1].role in {"user", "tool"}
            if ours and not any(one.role == "assistant" for one in await reads.answers(*at)):
                return own
        path = (await self._path(place)).path
        while path and path[-1].role == "assistant":
            path = path[:-1]
        return path


async def _see_that_it_was_called(place: Place, path: tuple[Message, ...]) -> None:
    """Refuse a tool's result that answers no call.

    Raises:
        MessageNotFoundError: there is none such above it.
        StoreError: the store cannot be read.
    """
    results = {one.id for one in path[-1].parts if isinstance(one, ToolResultPart)} - {""}
    if results <= _calls(path):
        return
    whole = await reads.path(place.database, place.owner_id, place.record.id, path[-1].seq)
    if missing := sorted(results - _calls(whole)):
        raise MessageNotFoundError(
            f"message {path[-1].seq} has the result of a call that nobody made: {missing[0]!r}",
            hint="append the answer that has the call before it",
        )


def _calls(path: tuple[Message, ...]) -> set[str]:
    return {part.id for one in path for part in one.parts if isinstance(part, ToolCallPart)}


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
