"""Looking at a store from outside, as another program sees it, and stepping coroutines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.engines import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from tests.engines import Where


class Watch:
    """Reads a store's tables by connections of its own: only what is committed is seen."""

    def __init__(self, path: Where) -> None:
        self.path = path

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what *sql* selects."""
        return rows(self.path, sql, *values)

    def messages(
        self, conversation_id: str | None = None
    ) -> list[tuple[int, int | None, str, str, str]]:
        """Return (seq, parent_seq, role, status, text) of every message, in order."""
        return [
            row[1:]
            for row in self.rows(
                "select conversation_id, seq, parent_seq, role, status, text from message"
                " order by conversation_id, seq"
            )
            if conversation_id in {None, row[0]}
        ]

    def statuses(self) -> list[str]:
        """Return the status of every assistant message, in order of storing."""
        return [status for _, _, role, status, _ in self.messages() if role == "assistant"]

    def journal(self) -> list[tuple[int, str, str]]:
        """Return (seq, kind, text) of every journal row, in order."""
        return self.rows("select seq, kind, text from journal order by message_seq, seq")

    def journal_text(self) -> str:
        """Return the text that the journal holds."""
        return "".join(text for _, kind, text in self.journal() if kind == "text")

    def heads(self) -> dict[str, int | None]:
        """Return each conversation's head_seq by its id."""
        return dict(self.rows("select id, head_seq from conversation"))


class Stepped:
    """Awaits a coroutine, and does something at its nth suspension: at once, or as it ends."""

    def __init__(
        self, work: Coroutine[Any, Any, Any], nth: int, then: Callable[[], object], *, late: bool
    ) -> None:
        self._work, self._nth, self._then, self._late = work, nth, then, late
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        """Hand every suspension on to the event loop."""
        step, value = self._work.send, None
        for at in range(1, 1_000_000):
            try:
                waited = step(value)
            except StopIteration as end:
                return end.value
            if at == self._nth:
                self.reached = True
                if self._late and waited is not None:
                    waited.add_done_callback(lambda _: self._then())
                else:
                    asyncio.get_running_loop().call_soon(self._then)
            try:
                step, value = self._work.send, (yield waited)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs into the coroutine
                step, value = self._work.throw, error
        raise AssertionError("the coroutine never ends")


async def cancelled_at(work: Coroutine[Any, Any, Any], nth: int, *, late: bool) -> bool:
    """Run *work* as a task, cancel it at its nth suspension; tell whether it got so far.

    Late is in the very moment in which what it waited for has come.
    """

    async def run() -> None:
        await stepped

    def cancel() -> None:
        task.cancel()

    stepped = Stepped(work, nth, cancel, late=late)
    task = asyncio.create_task(run())
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or AssertionError
    return stepped.reached


async def until(holds: Callable[[], object]) -> None:
    """Let other tasks and threads run until *holds*, for a few real seconds at most."""
    loop = asyncio.get_running_loop()
    for _ in range(2_000):
        if holds():
            return
        await loop.run_in_executor(None, _pause)
    raise AssertionError("it never came true")


def _pause() -> None:
    import time

    time.sleep(0.002)
