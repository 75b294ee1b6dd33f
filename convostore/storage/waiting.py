"""A job that waits to be written, and the caller who waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from convostore.storage.statements import Tx

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from convostore.errors import StoreError

    Translate: TypeAlias = Callable[[BaseException], BaseException]

GroupFunction: TypeAlias = Callable[[Tx, str, Sequence[Any]], list[Any]]
MOST_JOBS = 256  # in one transaction: bounds what a failure throws back and how long readers lag


class Waiting:
    """A job in the queue, and the caller who waits for it.

    Attributes:
        future: gets the outcome in the caller's loop: what the function returned for the job, or
            as an exception the conflict or the error. Cancelled, it lets go of the outcome only.
        settled: the outcome is known, or nobody will want to know it.
    """

    __slots__ = (
        *("_claim", "_translate", "function", "future", "job", "loop", "outcome", "owner_id"),
        "settled",
    )

    def __init__(
        self,
        function: GroupFunction,
        owner_id: str,
        job: object,
        loop: asyncio.AbstractEventLoop,
        translate: Translate,
    ) -> None:
        self._translate = translate
        self.function = function
        self.owner_id = owner_id
        self.job = job
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.outcome: Any = None
        self.settled = False
        self._claim = [True]

    def claim(self) -> bool:
        """Take the job, or take it back: exactly one of the two threads gets True."""
        try:
            return self._claim.pop()  # list.pop is atomic, so no lock is needed
        except IndexError:
            return False

    @property
    def claimed(self) -> bool:
        """Tell whether somebody has taken it already."""
        return not self._claim

    def withdraw(self, reason: Callable[[], StoreError]) -> None:
        """Give up waiting, if the writer has not taken the job yet: then it is not stored."""
        if self.claim():
            self.outcome = reason()
            self.settle()

    def let_go(self) -> None:
        """Ask for the outcome no more; a job that was not taken yet never will be."""
        self.settled = self.claim() or self.settled

    def kept(self) -> asyncio.Future[Any]:
        """Return a future for the outcome, also where whoever waited for it was cancelled."""
        if self.future.cancelled():
            self.future = self.loop.create_future()
            if self.settled:
                self.settle()
        return self.future

    def settle(self) -> None:
        """Hand the outcome to the caller, in the caller's own thread."""
        self.settled = True
        if self.future.done():
            return  # the caller was cancelled: to it the outcome is unknown
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self._translate(self.outcome))
        else:
            self.future.set_result(self.outcome)


class Deadlines:
    """Withdraws the jobs that no writer has taken in time. One timer serves all of them.

    All wait equally long, so they fall due in the order in which they came.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        patience_s: float,
        reason: Callable[[], StoreError],
    ) -> None:
        self.loop = loop
        self._patience_s = patience_s
        self._reason = reason
        self._waiting: deque[tuple[float, Waiting]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, waiting: Waiting) -> None:
        """Withdraw *waiting* when it has not been taken within the patience."""
        queue = self._waiting
        while queue and queue[0][1].settled:
            queue.popleft()
        queue.append((self.loop.time() + self._patience_s, waiting))
        if self._timer is None:
            self._timer = self.loop.call_at(queue[0][0], self._ring)

    def has_open(self) -> bool:
        """Tell whether anybody waits for a job whose outcome is still open."""
        return any(
            not (waiting.settled or waiting.future.done()) for _, waiting in tuple(self._waiting)
        )

    def _ring(self) -> None:
        queue, now_s = self._waiting, self.loop.time()
        while queue and (queue[0][1].settled or queue[0][0] <= now_s):
            queue.popleft()[1].withdraw(self._reason)
        self._timer = self.loop.call_at(queue[0][0], self._ring) if queue else None


def run_groups(tx: Tx, batch: Iterable[Waiting]) -> None:
    """Run the jobs of *batch*, those of one function and owner together."""
    groups: dict[tuple[GroupFunction, str], list[Waiting]] = {}
    for waiting in batch:
        groups.setdefault((waiting.function, waiting.owner_id), []).append(waiting)
    for (function, owner_id), group in groups.items():
        outcomes = function(tx, owner_id, [waiting.job for waiting in group])
        for waiting, outcome in zip(group, outcomes, strict=True):
            waiting.outcome = outcome
