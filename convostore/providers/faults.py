"""What a provider raises that it should not: whatever it is, it becomes a provider's error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from convostore.errors import ProviderError, StoreError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

# Not a provider's to raise, and not ours to keep: they end the program, or a coroutine.
PASSING: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)
_SHOWN_CHARS: Final = 500


def fault(provider: str, raised: BaseException) -> ProviderError:
    """Return the error for an exception that a provider should not have let out."""
    return ProviderError(
        f"the provider {provider} failed: {told(raised)}",
        provider=provider,
        hint="this is a fault in the provider; what arrived is kept",
    )


def told(raised: BaseException) -> str:
    """Return what an exception says, in one line."""
    try:
        words = f"{type(raised).__name__}: {raised}"
    except Exception:  # noqa: BLE001 - what cannot even be told is told by its kind
        words = type(raised).__name__
    return " ".join(words.split())[:_SHOWN_CHARS]


def name_of(provider: object) -> str:
    """Return a provider's name.

    Raises:
        ProviderError: it has none that is text, or fails when it is asked for it.
    """
    with FaultsOf(type(provider).__name__):
        return unguarded_name(provider)


def unguarded_name(provider: Any) -> str:
    """Return a provider's name.

    Raises:
        TypeError: it is no text.
        Exception: whatever the provider raises.
    """
    name = provider.name
    if not isinstance(name, str):
        raise TypeError(f"its name is no text but {type(name).__name__}")
    return name


def called(provider: object) -> str:
    """Return what to call a provider whatever is wrong with it: its name, else its class's."""
    try:
        return name_of(provider)
    except ProviderError:
        return type(provider).__name__


def passes(raised: BaseException) -> bool:
    """Tell whether an exception goes on as it is: a cancellation does, if somebody has cancelled."""
    if isinstance(raised, asyncio.CancelledError):
        return is_cancelled()
    return isinstance(raised, PASSING)


def is_cancelled() -> bool:
    """Tell whether somebody has cancelled the running task."""
    try:
        me = asyncio.current_task()
    except RuntimeError:
        return False  # there is no loop, and so nobody
    return me is not None and me.cancelling() > 0


class FaultsOf:
    """Turn what a provider's code raises in a `with` block into a ProviderError.

    Args:
        provider: its name.
    """

    __slots__ = ("_provider",)

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let its own errors go on, and the store's, and make one of any other."""
        if error is None or isinstance(error, ProviderError | StoreError) or passes(error):
            return
        raise fault(self._provider, error) from error
