"""A LangGraph checkpointer: threads that last, and are conversations as well.

.. code-block:: python

    from convostore.integrations.langgraph import ConvostoreSaver

    with ConvostoreSaver("chats.db") as saver:
        graph = builder.compile(checkpointer=saver)
        graph.invoke({"messages": [("user", "Hello")]}, {"configurable": {"thread_id": "42"}})

The thread is the conversation with the key `langgraph:42`: it is listed, searched, shown and
exported as any other. A message, and any other large part of a state, is stored once, however many
checkpoints have it. The extra `langgraph` brings what this needs.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver

import convostore
from convostore.integrations.bridge import Bridge
from convostore.integrations.langgraph_kinds import classes_of
from convostore.integrations.langgraph_threads import Threads

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from types import TracebackType
    from typing import Self

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        DeltaChannelHistory,
    )

    from convostore.store import Store


class ConvostoreSaver(BaseCheckpointSaver[int]):
    """Keeps the checkpoints of LangGraph's threads in a store.

    Every method may be called with and without `await`, from any thread and any loop. Made while a
    loop runs, it lives in that one, and then its methods without `await` are for other threads.

    Args:
        store: a store, its file or its URL; None is the configured one. One that is given opened
            is not closed with the saver.
        types: of the graph's state, or classes that it has values of: dataclasses, pydantic models,
            enums, named tuples. What their annotations name is meant, too; values of other classes
            are given back as plain ones.
        messages: the channel whose messages the conversation shows.
        scrub: whether deleting a thread gets it out of every byte of the files at once; by default
            it does where the store is a file. See `Store.scrub`.
    """

    def __init__(
        self,
        store: Store | Path | str | None = None,
        *,
        types: Iterable[Any] = (),
        messages: str = "messages",
        scrub: bool | None = None,
    ) -> None:
        super().__init__()
        self._bridge = Bridge()
        is_theirs = store is not None and not isinstance(store, Path | str)
        self.store: Store = store if is_theirs else convostore.open(store)  # type: ignore[assignment, arg-type] # as just told apart
        self._closes = self._bridge.is_own or not is_theirs
        known = classes_of(types)
        self._threads = Threads(self.store.checkpoints(), known, messages=messages, scrub=scrub)

    def __enter__(self) -> Self:
        """Return the saver."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the saver."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()

    def close(self) -> None:
        """Close the store, unless it was given opened. Idempotent."""
        if self._closes and not self._bridge.has_ended:
            self._bridge.now(self.store.aclose())
            self._bridge.end()

    async def aclose(self) -> None:
        """Close the store, unless it was given opened. Idempotent."""
        if self._closes and not self._bridge.has_ended:
            await self._bridge.wait(self.store.aclose())
            self._bridge.end()

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Self:
        """Return the same saver, which also knows the classes that a graph's schema names.

        LangGraph asks for it where its own loading is strict. The classes are those that the program
        has loaded already; nothing is imported.
        """
        named = [getattr(sys.modules.get(one[0]), one[-1], None) for one in extra_allowlist]
        found = classes_of(one for one in named if isinstance(one, type))
        clone = copy.copy(self)
        clone._threads = self._threads.knowing(found)  # noqa: SLF001 - it is of this class
        return clone

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read the checkpoint that *config* names, or the newest of its thread."""
        return await self._bridge.wait(self._threads.get(config))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read the checkpoint that *config* names, or the newest of its thread."""
        return self._bridge.now(self._threads.get(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first; nothing is locked meanwhile.

        Args:
            config: of which thread, and which namespace of it; None is all threads.
            filter: what their metadata say, all at once.
            before: only those older than this one.
            limit: how many at most.
        """
        async for one in self._bridge.async_each(self._threads.each(config, filter, before, limit)):
            yield one

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, newest first; as `alist`."""
        yield from self._bridge.each(self._threads.each(config, filter, before, limit))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - the framework's; a state has all values
    ) -> RunnableConfig:
        """Store a checkpoint; it is on disk when this returns.

        Raises:
            InvalidTextError: a value of the state cannot be stored; the error names the channel.
            StoreError: the store cannot be opened or written.
        """
        return await self._bridge.wait(self._threads.put(config, checkpoint, metadata))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - the framework's; a state has all values
    ) -> RunnableConfig:
        """Store a checkpoint; it is on disk when this returns. Raises as `aput`."""
        return self._bridge.now(self._threads.put(config, checkpoint, metadata))

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task has written; it is on disk when this returns. Raises as `aput`."""
        await self._bridge.wait(self._threads.put_writes(config, writes, task_id, task_path))

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task has written; it is on disk when this returns. Raises as `aput`."""
        self._bridge.now(self._threads.put_writes(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove a thread and its conversation for good; see `Store.purge`."""
        await self._bridge.wait(self._threads.delete(thread_id))

    def delete_thread(self, thread_id: str) -> None:
        """Remove a thread and its conversation for good; see `Store.purge`."""
        self._bridge.now(self._threads.delete(thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of runs; the messages stay in their conversations."""
        await self._bridge.wait(self._threads.delete_for_runs(run_ids))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of runs; the messages stay in their conversations."""
        self._bridge.now(self._threads.delete_for_runs(run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread and its conversation.

        Raises:
            DuplicateKeyError: there is such a thread, and it is not empty.
        """
        await self._bridge.wait(self._threads.copy(source_thread_id, target_thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread and its conversation. Raises as `acopy_thread`."""
        self._bridge.now(self._threads.copy(source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove checkpoints; the messages stay in their conversations.

        Args:
            thread_ids: of these threads.
            strategy: `keep_latest` leaves the newest of each namespace, `delete` none.

        Raises:
            ValueError: the strategy is another one.
        """
        await self._bridge.wait(self._threads.prune(thread_ids, strategy))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove checkpoints; as `aprune`."""
        self._bridge.now(self._threads.prune(thread_ids, strategy))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read what channels are made of that a graph keeps as writes."""
        return await self._bridge.wait(self._threads.history(config, channels))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read what channels are made of that a graph keeps as writes."""
        return self._bridge.now(self._threads.history(config, channels))
