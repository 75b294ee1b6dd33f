"""The store's verb that adds up what model calls came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.lists import Lists
from convostore.storage import calls
from convostore.tally import BY, Sums, UsageReport
from convostore.text import gate

if TYPE_CHECKING:
    from convostore.tally import By


class Counting(Lists):
    """What a store can tell of what was used; `Store` has this verb."""

    async def stats(
        self,
        *,
        by: By = "day",
        since_ms: int | None = None,
        until_ms: int | None = None,
        provider: str | None = None,
        model: str | None = None,
        conversation: str | None = None,
    ) -> UsageReport:
        """Add up the tokens of model calls, as their providers reported them.

        Calls count whose messages are gone, too. What was not reported is unknown, not zero: it is
        in no sum, and every sum says how many calls it does not know. A call counts once its reply
        has ended, however it ended.

        Args:
            by: `day` (of this machine's calendar), `model`, `provider` or `conversation`.
            since_ms: calls that ended then or later.
            until_ms: calls that ended before then.
            provider: who was asked, exactly.
            model: who answered, exactly.
            conversation: `@`, an id, a key, a handle or its beginning.

        Raises:
            ValueError: *by* is none of these.
            ConversationNotFoundError: nothing is called *conversation*.
            AmbiguousHandleError: the beginning fits several.
            InvalidTextError: a text can be in no store.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        if by not in BY:
            raise ValueError(f"by is one of {', '.join(BY)}, not {by}")
        wanted = calls.Wanted(
            since_ms=since_ms,
            until_ms=until_ms,
            provider=provider and gate(provider, "the provider to look for"),
            model=model and gate(model, "the model to look for"),
            conversation_id=conversation and (await self.find(conversation)).id,
        )
        at = await self._owned.for_reading()
        if at is None:
            return UsageReport(by=by, total=Sums().tally(None), rows=())
        return await calls.report(*at, by, wanted)
