"""A graph's threads over the checkpoints of a store: LangGraph's values in, LangGraph's values out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)

from convostore.integrations.langgraph_values import Reader, Writer, said_in, shown_in
from convostore.storage.checkpoint_history import COUNTERS
from convostore.storage.checkpoint_items import as_json
from convostore.storage.checkpoints import NewWrite
from convostore.text import gate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, DeltaChannelHistory

    from convostore.checkpointing import Checkpoints, Loaded
    from convostore.storage.checkpoint_items import Piece
    from convostore.storage.checkpoint_reads import StoredCheckpoint

PREFIX: Final = "langgraph:"  # of a thread's key
_NAMES: Final = {  # of a checkpoint's parts, as they are stored
    "channel_values": "values",
    "channel_versions": "versions",
    "versions_seen": "seen",
    "updated_channels": "updated",
}
_BACK: Final = {stored: name for name, stored in _NAMES.items()}


class Threads:
    """The threads of one owner.

    Args:
        checkpoints: where they are.
        messages: the channel whose messages conversations show.
        scrub: as in `Store.purge`.

    Attributes:
        types: the classes that the application has named, by their names.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        types: Mapping[str, type[Any]],
        *,
        messages: str,
        scrub: bool | None,
    ) -> None:
        self.types = types
        self._checkpoints, self._messages, self._scrub = checkpoints, messages, scrub

    def knowing(self, types: Mapping[str, type[Any]]) -> Threads:
        """Return the same threads, read with more classes."""
        known = {**types, **self.types}
        return Threads(self._checkpoints, known, messages=self._messages, scrub=self._scrub)

    async def get(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read the checkpoint that *config* names, or the newest of its thread."""
        key, namespace, id_ = _place(config)
        loaded = await self._checkpoints.get(key, namespace, id_)
        return None if loaded is None else self._tuple(loaded)

    async def each(
        self,
        config: RunnableConfig | None,
        filter: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> AsyncGenerator[CheckpointTuple, None]:
        """Yield checkpoints; see `ConvostoreSaver.alist`."""
        about: dict[str, Any] = dict(config["configurable"]) if config else {}
        id_, reader = about.get("checkpoint_id"), Reader(self.types, {})
        left = sys.maxsize if limit is None else limit

        def wanted(one: StoredCheckpoint) -> bool:
            metadata = reader.value(one.metadata) if filter else {}
            return (not id_ or one.id == id_) and all(
                name in metadata and metadata[name] == value
                for name, value in (filter or {}).items()
            )

        found = self._checkpoints.each(
            _key(about["thread_id"]) if config else None,
            prefix=PREFIX,
            namespace=about.get("checkpoint_ns"),
            before=get_checkpoint_id(before) if before else None,
            wanted=wanted,
        )
        async for loaded in found:
            if left <= 0:
                return
            left -= 1
            yield self._tuple(loaded)

    async def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> RunnableConfig:
        """Store a checkpoint, and show its new messages."""
        key, namespace, parent_id = _place(config)
        id_ = gate(checkpoint["id"], "the id of a checkpoint")
        state: dict[str, Any] = {
            _NAMES.get(name, name): Writer(name).whole(one)
            for name, one in checkpoint.items()
            if name not in {"id", "channel_values"}
        }
        values = {
            name: Writer(name).value(one) for name, one in checkpoint["channel_values"].items()
        }
        about: dict[str, Any] = dict(get_checkpoint_metadata(config, metadata))
        path, below_id = shown_in(values.get(self._messages)), None
        if namespace:
            path = None
        elif path is None and self._messages in about.get(COUNTERS, {}):
            path, below_id = await self._written(key, parent_id), parent_id
        await self._checkpoints.put(
            key,
            path=path,
            below_id=below_id,
            namespace=namespace,
            id=id_,
            parent_id=parent_id,
            run_id=about["run_id"] if isinstance(about.get("run_id"), str) else None,
            state=state | {"values": values},
            metadata=as_json(Writer("metadata").whole(about)),
        )
        return _config(key, namespace, id_)

    async def _written(self, key: str, parent_id: str | None) -> tuple[Piece, ...]:
        """Return the messages that the step after a checkpoint has added."""
        found = await self._checkpoints.get(key, "", parent_id) if parent_id else None
        if found is None:
            return ()
        reader, writer = Reader(self.types, found.contents), Writer(self._messages)
        return tuple(
            piece
            for one in found.writes
            if one.channel == self._messages
            for piece in said_in(writer.value(reader.value(one.value)))
        )

    async def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> None:
        """Store what a task has written."""
        key, namespace, id_ = _place(config)
        new = [
            NewWrite(
                number=WRITES_IDX_MAP.get(channel, at),
                channel=gate(channel, "the name of a channel"),
                value=Writer(channel).value(value),
            )
            for at, (channel, value) in enumerate(writes)
        ]
        await self._checkpoints.put_writes(
            key,
            writes=new,
            namespace=namespace,
            checkpoint_id=gate(id_ or "", "the id of a checkpoint"),
            task_id=gate(task_id, "the id of a task"),
            task_path=gate(task_path, "the path of a task"),
        )

    async def delete(self, thread_id: str) -> None:
        """Remove a thread and its conversation."""
        await self._checkpoints.purge(_key(thread_id), scrub=self._scrub)

    async def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of runs."""
        await self._checkpoints.remove_runs(run_ids)

    async def copy(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread."""
        await self._checkpoints.copy(_key(source_thread_id), _key(target_thread_id))

    async def prune(self, thread_ids: Sequence[str], strategy: str) -> None:
        """Remove checkpoints; see `ConvostoreSaver.aprune`."""
        if strategy not in {"keep_latest", "delete"}:
            raise ValueError(f"the strategy is {strategy!r}, not keep_latest or delete")
        keys = [_key(one) for one in thread_ids]
        await self._checkpoints.remove(keys, keep_latest=strategy == "keep_latest")

    async def history(
        self, config: RunnableConfig, channels: Sequence[str]
    ) -> dict[str, DeltaChannelHistory]:
        """Read what channels are made of that a graph keeps as writes."""
        found = await self._checkpoints.history(*_place(config), channels) if channels else None
        if found is None:
            return {}
        reader = Reader(self.types, found.contents)
        histories: dict[str, DeltaChannelHistory] = {}
        for name in channels:
            one = found.channels.get(name, {"writes": []})
            histories[name] = {
                "writes": [(task, name, reader.value(value)) for task, value in one["writes"]]
            }
            if "seed" in one:
                histories[name]["seed"] = reader.value(one["seed"])
        return histories

    def _tuple(self, loaded: Loaded) -> CheckpointTuple:
        one, reader = loaded.checkpoint, Reader(self.types, loaded.contents)
        parent = _config(one.key, one.namespace, one.parent_id) if one.parent_id else None
        state = {_BACK.get(name, name): value for name, value in reader.value(one.state).items()}
        state["id"] = one.id
        return CheckpointTuple(
            config=_config(one.key, one.namespace, one.id),
            checkpoint=state,  # type: ignore[arg-type] # all of its parts are there
            metadata=reader.value(one.metadata),
            parent_config=parent,
            pending_writes=[
                (each.task_id, each.channel, reader.value(each.value)) for each in loaded.writes
            ],
        )


def _key(thread_id: object) -> str:
    return f"{PREFIX}{gate(str(thread_id), 'the id of a thread')}"


def _place(config: RunnableConfig) -> tuple[str, str, str | None]:
    """Return a thread's key, the namespace, and the id of the checkpoint, or None."""
    about = config["configurable"]
    namespace = gate(about.get("checkpoint_ns") or "", "the namespace of a checkpoint")
    return _key(about["thread_id"]), namespace, get_checkpoint_id(config) or None


def _config(key: str, namespace: str, id_: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": key.removeprefix(PREFIX),
            "checkpoint_ns": namespace,
            "checkpoint_id": id_,
        }
    }
