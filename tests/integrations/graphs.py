"""Checkpoints as a graph puts them, for those who try what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import empty_checkpoint

from convostore.storage.checkpoint_history import COUNTERS

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from convostore.integrations.langgraph import ConvostoreSaver


def thread(name: str = "42", namespace: str = "") -> RunnableConfig:
    """Return the configuration that names a thread."""
    return {"configurable": {"thread_id": name, "checkpoint_ns": namespace}}


async def put(
    saver: ConvostoreSaver, config: RunnableConfig, step: int = 0, **about: Any
) -> RunnableConfig:
    """Put a checkpoint below *config*; what is not of its metadata are the values of channels."""
    metadata: dict[str, Any] = {
        name: about.pop(name) for name in ("run_id", "counters", "score") if name in about
    }
    if "counters" in metadata:
        metadata[COUNTERS] = metadata.pop("counters")
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = about
    checkpoint["channel_versions"] = dict.fromkeys(about, step + 1)
    return await saver.aput(config, checkpoint, {"source": "loop", "step": step, **metadata}, {})  # type: ignore[typeddict-item] # any metadata are fine


async def values(saver: ConvostoreSaver, config: RunnableConfig) -> dict[str, Any]:
    """Return the values of a checkpoint."""
    found = await saver.aget_tuple(config)
    assert found is not None
    return found.checkpoint["channel_values"]
