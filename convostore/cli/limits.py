"""Limits of an import, as they are typed: a name and a number each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.exchange.limits import Limits

_TYPED: Final = re.compile(r"([0-9]{1,15})([KMG]iB)?")
_UNITS: Final = {None: 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def limits_from(typed: Iterable[str]) -> Limits:
    """Return the limits that were typed, as in record_bytes=256MiB; the others by their defaults.

    Raises:
        UsageError: there is no such limit, or its number is none.
    """
    from convostore.exchange.limits import Limits

    wanted: dict[str, int] = {}
    for one in typed:
        name, _, number = one.partition("=")
        found = _TYPED.fullmatch(number)
        if name not in Limits.__struct_fields__:
            raise UsageError(
                f"there is no limit {name!r}",
                hint=f"take one of: {', '.join(Limits.__struct_fields__)}",
            )
        if found is None or not int(found[1]):
            raise UsageError(
                f"{number!r} is no number for the limit {name}",
                hint=f"as in --limit {name}=1000, or with KiB, MiB or GiB behind it",
            )
        wanted[name] = int(found[1]) * _UNITS[found[2]]
    return Limits(**wanted)
