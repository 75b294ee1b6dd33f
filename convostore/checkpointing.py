"""Checkpoints: the states of a graph after its steps, kept with the conversation that they are of.

What is here knows nothing of any framework; an adapter gives it JSON, and gets JSON back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore import clock
from convostore.errors import ConversationNotFoundError, StoreCorruptError
from convostore.storage import checkpoint_reads as reads
from convostore.storage.checkpoint_copying import CopyCheckpoints, copy_checkpoints
from convostore.storage.checkpoint_history import Step, history_of
from convostore.storage.checkpoint_reads import Contents, StoredCheckpoint, StoredWrite
from convostore.storage.checkpoint_removal import RemoveCheckpoints, remove_checkpoints
from convostore.storage.checkpoints import (
    NewWrite,
    PutCheckpoint,
    PutWrites,
    Stored,
    put_checkpoints,
    put_writes,
)
from convostore.storage.purging import Purge, purge_conversations
from convostore.storage.scrub_note import scrub_after
from convostore.text import fallback_title

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from convostore.owned import Owned
    from convostore.storage.checkpoint_items import Piece

_PAGE: Final = 50  # checkpoints that are read at once
_TRIES: Final = 3  # to read a checkpoint of which others take parts out just then
_KNOWN: Final = 10_000  # conversations whose ids are remembered


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, what was written beside it, and the items that both name."""

    checkpoint: StoredCheckpoint
    writes: tuple[StoredWrite, ...]
    contents: Contents


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What channels are made of; see `checkpoint_history.history_of`."""

    channels: dict[str, dict[str, Any]]
    contents: Contents


class Checkpoints:
    """The checkpoints of one owner's conversations, by the conversations' keys.

    What `put` and `put_writes` acknowledged by returning is on disk.

    Args:
        owned: whose they are.
        make: finds or makes the conversation of a key, and returns its id.
    """

    def __init__(self, owned: Owned, make: Callable[[str], Awaitable[str]]) -> None:
        self._owned, self._make = owned, make
        self._ids: dict[str, str] = {}

    async def get(self, key: str, namespace: str, id: str | None = None) -> Loaded | None:
        """Read one checkpoint, or the newest of its namespace.

        Raises:
            StoreCorruptError: parts of it are missing.
            StoreError: the store cannot be opened or read.
        """
        at = await self._owned.for_reading()
        for _ in range(_TRIES):
            found = at and await reads.get(*at, key=key, namespace=namespace, id=id)
            if not at or not found:
                return None
            (loaded,) = await self._loaded([found])
            if loaded is not None:
                return loaded
        raise _missing(key)

    async def each(
        self,
        key: str | None,
        *,
        prefix: str = "",
        namespace: str | None = None,
        before: str | None = None,
        wanted: Callable[[StoredCheckpoint], bool],
    ) -> AsyncIterator[Loaded]:
        """Yield checkpoints, newest first; no lock is held between two of them.

        Args:
            key: of the conversation; None is all whose keys begin with *prefix*.
            prefix: see *key*.
            namespace: of one conversation's checkpoints those of one graph; None is all.
            before: only those with smaller ids.
            wanted: tells which of them are to be read whole.

        Raises:
            StoreError: the store cannot be opened or read.
        """
        at = await self._owned.for_reading()
        last, most = before or reads.AFTER_ALL, _PAGE
        while at is not None:
            page = await reads.page(
                *at, key=key, prefix=prefix, namespace=namespace, before=last, most=most
            )
            is_last = len(page) < most
            # Copies have the same ids: those at the end of a page are read with the next one.
            whole = page if is_last else [one for one in page if one.id != page[-1].id]
            for loaded in await self._loaded([one for one in whole if wanted(one)]):
                if loaded is not None:  # else it was removed meanwhile
                    yield loaded
            if is_last:
                return
            last, most = (whole[-1].id, most) if whole else (last, most * 2)

    async def put(self, key: str, *, path: tuple[Piece, ...] | None, **fields: Any) -> None:
        """Store a state; see `PutCheckpoint`.

        Raises:
            InvalidTextError: there can be no such key.
            StoreError: the store cannot be opened or written.
        """

        def job(id_: str) -> PutCheckpoint:
            return PutCheckpoint(
                conversation_id=id_,
                key=key,
                path=path,
                now_ms=clock.now_ms(),
                titled=_title,
                **fields,
            )

        await self._write(put_checkpoints, key, job)

    async def put_writes(self, key: str, *, writes: Iterable[NewWrite], **fields: Any) -> None:
        """Store what a task has written; see `PutWrites`.

        Raises:
            InvalidTextError: there can be no such key.
            StoreError: the store cannot be opened or written.
        """
        new = tuple(writes)

        def job(id_: str) -> PutWrites:
            return PutWrites(conversation_id=id_, key=key, writes=new, **fields)

        await self._write(put_writes, key, job)

    async def copy(self, source: str, target: str) -> bool:
        """Copy all of one conversation to another, which is made; False where there is nothing.

        Raises:
            DuplicateKeyError: the other is not empty.
            ConversationBusyError: a reply of the first is still being written.
            StoreError: the store cannot be opened or written.
        """
        at = await self._owned.for_reading()
        source_id = at and await reads.conversation_of(*at, source)
        if not source_id:
            return False

        def job(id_: str) -> CopyCheckpoints:
            return CopyCheckpoints(
                conversation_id=id_, key=target, source_id=source_id, now_ms=clock.now_ms()
            )

        await self._write(copy_checkpoints, target, job)
        return True

    async def remove(self, keys: Sequence[str], *, keep_latest: bool) -> None:
        """Take the checkpoints of conversations out, but for the newest of each namespace.

        Their messages stay.

        Args:
            keys: of the conversations; those that are not there are nothing to do.
            keep_latest: False takes the newest out, too.

        Raises:
            StoreError: the store cannot be opened or written.
        """
        at = await self._owned.for_reading()
        if at is None:
            return
        database, owner_id = at
        for key in keys:
            id_ = await reads.conversation_of(database, owner_id, key)
            if id_ is not None:
                job = RemoveCheckpoints(conversation_id=id_, keep_latest=keep_latest)
                await database.write(remove_checkpoints, owner_id, job)

    async def remove_runs(self, run_ids: Sequence[str]) -> None:
        """Take the checkpoints of runs out, wherever they are. Messages stay.

        Raises:
            StoreError: the store cannot be opened or written.
        """
        at = await self._owned.for_reading()
        if at is None or not run_ids:
            return
        database, owner_id = at
        for id_ in await reads.conversations_of_runs(database, owner_id, run_ids):
            job = RemoveCheckpoints(conversation_id=id_, run_ids=tuple(run_ids))
            await database.write(remove_checkpoints, owner_id, job)

    async def purge(self, key: str, *, scrub: bool | None = None) -> None:
        """Remove the conversation of a key for good, messages and all, also one in the bin.

        Args:
            key: one that is not there is nothing to do.
            scrub: as in `Store.purge`.

        Raises:
            ConversationBusyError: a reply of it is still being written.
            StoreBusyError: from scrubbing, as in `Store.purge`.
            StoreError: the store cannot be opened or written.
        """
        at = await self._owned.for_reading()
        id_ = at and await reads.conversation_of(*at, key, kept=False)
        if not at or not id_:
            return
        database, owner_id = at
        self._ids.pop(key, None)
        job = Purge(conversation_id=id_, now_ms=clock.now_ms())
        with suppress(ConversationNotFoundError):  # somebody else was quicker
            await database.write(purge_conversations, owner_id, job)
        await scrub_after(database, scrub)

    async def history(
        self, key: str, namespace: str, id: str | None, channels: Sequence[str]
    ) -> History:
        """Read what channels are made of that are kept as writes.

        Raises:
            StoreError: the store cannot be opened or read.
        """
        at = await self._owned.for_reading()
        first = at and await reads.get(*at, key=key, namespace=namespace, id=id)
        if not at or not first:
            return History(channels={}, contents={})
        steps, missing, page = {first.id: await self._step(first)}, set(channels), [first]
        missing -= (first.history or {}).keys()
        above = first.parent_id
        while above is not None and missing and page:
            page = await reads.page(
                *at, key=key, prefix="", namespace=namespace, before=page[-1].id, most=_PAGE
            )
            for one in page:
                if one.id == above:
                    steps[one.id] = step = await self._step(one)
                    missing -= step.values.keys() | (step.history or {}).keys()
                    above = step.parent_id if missing else None
        found = history_of(steps[first.id], channels, steps.get)
        contents = await reads.contents(*at, first.conversation_id, [found])
        if contents is None:
            raise _missing(key)
        return History(channels=found, contents=contents)

    async def _step(self, one: StoredCheckpoint) -> Step:
        database, owner_id = await self._owned.for_writing()
        beside = await reads.writes(database, owner_id, one.conversation_id, [one.id])
        return Step(
            parent_id=one.parent_id,
            values=one.state.get("values") or {},
            history=one.history,
            writes=tuple(
                (each.task_id, each.channel, each.value)
                for each in beside
                if each.namespace == one.namespace
            ),
        )

    async def _loaded(self, found: Sequence[StoredCheckpoint]) -> list[Loaded | None]:
        """Return checkpoints with what belongs to them; None for one of which parts are missing."""
        loaded: dict[int, Loaded | None] = {}
        for of in {one.conversation_id for one in found}:
            mine = [one for one in found if one.conversation_id == of]
            loaded |= await self._of_one(mine)
        return [loaded[id(one)] for one in found]

    async def _of_one(self, found: Sequence[StoredCheckpoint]) -> dict[int, Loaded | None]:
        database, owner_id = await self._owned.for_writing()
        of = found[0].conversation_id
        beside: dict[tuple[str, str], list[StoredWrite]] = {}
        for write in await reads.writes(database, owner_id, of, [one.id for one in found]):
            beside.setdefault((write.namespace, write.checkpoint_id), []).append(write)
        writes = {id(one): tuple(beside.get((one.namespace, one.id), ())) for one in found}
        values = [one.state for one in found] + [
            write.value for several in writes.values() for write in several
        ]
        contents = await reads.contents(database, owner_id, of, values)
        if contents is not None:
            return {
                id(one): Loaded(checkpoint=one, writes=writes[id(one)], contents=contents)
                for one in found
            }
        if len(found) == 1:
            return {id(found[0]): None}
        return {key: one for each in found for key, one in (await self._of_one([each])).items()}

    async def _write(self, function: Any, key: str, job: Callable[[str], Any]) -> None:
        for _ in range(_TRIES):
            id_ = self._ids.get(key) or await self._make(key)
            database, owner_id = await self._owned.for_writing()
            outcome: Stored = await database.write(function, owner_id, job(id_))
            if outcome.done:
                if len(self._ids) >= _KNOWN:
                    self._ids.clear()
                self._ids[key] = id_
                return
            self._ids.pop(
                key, None
            )  # purged, in the bin, or called otherwise: another one is meant
        raise ConversationNotFoundError(
            f"the conversation {key} is removed again and again", hint="see who does that"
        )


def _title(question: str | None) -> str | None:
    return None if question is None else fallback_title(question)


def _missing(key: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"parts of a checkpoint of {key} are missing", hint="look: convostore db check"
    )
