"""What a run of pydantic-ai is given, so that its messages are stored while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.capabilities import AbstractCapability

if TYPE_CHECKING:
    from pydantic_ai import RunContext
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.run import AgentRunResult

    from convostore.integrations.pydantic_ai import MessageHistory


class Keeper(AbstractCapability[Any]):  # type: ignore[misc] # mypy does not look into pydantic-ai
    """Store what a run adds to its history: before each model call, and after each step.

    A run that fails, is cancelled or killed leaves what was said by then: at least the question.
    """

    def __init__(self, history: MessageHistory) -> None:
        self._history = history
        self._stored = 0

    async def before_run(self, ctx: RunContext[Any]) -> None:
        """Remember which messages were there before: they are stored already."""
        self._stored = len(ctx.messages)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Store what the model is about to be told.

        Raises:
            StoreError: it could not be stored; the model is not asked.
        """
        await self._store(ctx.messages)
        return request_context

    async def after_node_run(self, ctx: RunContext[Any], *, node: Any, result: Any) -> Any:
        """Store what a step of the run has added: an answer, or what tools said.

        Raises:
            StoreError: it could not be stored.
        """
        del node
        await self._store(ctx.messages)
        return result

    async def after_run(
        self, ctx: RunContext[Any], *, result: AgentRunResult[Any]
    ) -> AgentRunResult[Any]:
        """Store what is left at the end.

        Raises:
            StoreError: it could not be stored.
        """
        del ctx
        await self._store(result.all_messages())
        return result

    async def _store(self, messages: list[ModelMessage]) -> None:
        new = messages[self._stored :]
        self._stored += len(new)
        await self._history.append(new)
