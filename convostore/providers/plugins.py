"""Providers of others: installed packages name theirs by an entry point."""

from __future__ import annotations

from importlib.metadata import distributions, entry_points
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.errors import ProviderError
from convostore.providers.faults import FaultsOf, called, told, unguarded_name
from convostore.providers.provider import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint, EntryPoints

    from convostore.providers.provider import Provider

GROUP: Final = "convostore.providers"
_PARTS: Final = ("name", "check", "stream", "recover", "models", "aclose")
_SHOWN_CHARS: Final = 200  # of what a plugin raised


def names() -> tuple[str, ...]:
    """List the providers that installed packages name, in order.

    Raises:
        ProviderError: what a package names cannot be read.
    """
    return tuple(sorted({point.name for point in _points()}))


def make(name: str, options: dict[str, Any]) -> Provider | None:
    """Make an installed provider; None where no package names one so.

    Args:
        name: as its entry point names it.
        options: the keyword arguments of its class.

    Raises:
        ProviderError: two packages name one so, or what is named cannot be loaded or made, or is
            no provider, or what a package names cannot be read.
    """
    # A package that is found twice on the path is one package all the same.
    found = sorted(
        {(point.value, _package(point)): point for point in _points() if point.name == name}.items()
    )
    if not found:
        return None
    if len(found) > 1:
        rivals = " and ".join(package or value for (value, package), _ in found)
        raise _unusable(name, f"is named by {rivals}", "uninstall all but one of them")
    (value, package), point = found[0]
    hint = f"mend or uninstall the package {package or value}"
    kind = _guarded(name, f"({value}) cannot be loaded", hint, point.load)
    if not callable(kind):
        raise _unusable(name, f"({value}) is no provider: it cannot be called", hint)
    provider = _guarded(name, f"({value}) cannot be made", hint, lambda: kind(**options))
    missing = _guarded(name, f"({value}) cannot be used", hint, lambda: _missing(provider))
    if missing:
        raise _unusable(name, f"({value}) is no provider: it has no {_listed(missing)}", hint)
    own = _guarded(name, f"({value}) cannot be used", hint, lambda: unguarded_name(provider))
    if own != name:
        why = f"calls itself {own[:80]!r}: its conversations would not find it again"
        raise _unusable(name, why, hint)
    return provider  # type: ignore[no-any-return]  # it has all that a provider has


async def models_of(provider: Provider) -> list[ModelInfo]:
    """Ask a provider for its models, and see that they are some.

    Raises:
        ProviderError: any kind; also where it raises something else, or lists what is no model.
    """
    with FaultsOf(called(provider)):
        found = list(await provider.models())
        for one in found:
            if not isinstance(one, ModelInfo):
                raise TypeError(f"models() lists what is no ModelInfo but {type(one).__name__}")
            msgspec.convert(msgspec.to_builtins(one), ModelInfo)
        return found


def _missing(provider: object) -> list[str]:
    return [part for part in _PARTS if not hasattr(provider, part)]


def _points() -> EntryPoints:
    try:
        return entry_points(group=GROUP)
    except Exception as raised:
        raise ProviderError(
            f"the entry points of the package {_unreadable()} cannot be read: {told(raised)}",
            provider="",
            hint="install that package anew, or uninstall it",
        ) from raised


def _unreadable() -> str:
    """Return the package whose entry points cannot be read: whichever, it keeps all from it."""
    for package in distributions():
        try:
            _ = package.entry_points
        except Exception:  # noqa: BLE001 - whatever it is, it is the one
            return package.name
    return "?"


def _guarded(name: str, what: str, hint: str, call: Callable[[], Any]) -> Any:
    """Return what a plugin's code returns; whatever it raises is one clear error.

    A module that ends the process when it is imported (SystemExit) must not end this one.
    """
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except ProviderError as raised:
        raised.hint = raised.hint or hint
        raise
    except BaseException as raised:
        raise _unusable(name, f"{what}: {told(raised)[:_SHOWN_CHARS]}", hint) from raised


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _unusable(name: str, why: str, hint: str) -> ProviderError:
    return ProviderError(f"the provider {name} {why}", provider=name, hint=hint)
