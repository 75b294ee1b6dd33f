"""The kinds of values that a graph's state may have and JSON has not: how each is written.

What is stored names a kind, and this table says what that is. Nothing is ever imported, called or
made by a name that comes from the store: a class of an application's own is made again only if the
application has named it.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from base64 import b64decode, b64encode
from collections import deque
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_EACH: Final = (tuple, set, frozenset, deque)
_AS_TEXT: Final = (
    *(UUID, Decimal, complex, IPv4Address, IPv4Interface, IPv4Network),
    *(IPv6Address, IPv6Interface, IPv6Network),
)
_FIELDS: Final = ("model_fields", "__fields__", "_fields")
MAKERS: Final[dict[str, Callable[[Any], Any]]] = {
    **{one.__name__: one for one in (*_EACH, *_AS_TEXT)},
    "float": float,
    "Path": Path,
    "bytes": b64decode,
    "bytearray": lambda value: bytearray(b64decode(value)),
    "ZoneInfo": ZoneInfo,
    "date": date.fromisoformat,
    "timedelta": lambda value: timedelta(*value),
    "timezone": lambda value: timezone(timedelta(seconds=value[0]), *value[1:]),
    "datetime": lambda value: _moment(datetime.fromisoformat(value[0]), value),
    "time": lambda value: _moment(time.fromisoformat(value[0]), value),
    "halved": lambda value: b64decode(value).decode("utf-8", "surrogatepass"),
    "Pattern": lambda value: re.compile(*value),
    "ndarray": lambda value: _array(*value),
}


def written(value: Any) -> tuple[str, Any] | None:
    """Return the kind of a value, and what it is made of; None for one of another kind.

    What it is made of may have values of any kind in it.
    """
    return _of_many(value) or _of_text(value) or _of_time(value) or _of_numbers(value)


def _of_many(value: Any) -> tuple[str, Any] | None:
    if type(value) not in _EACH:
        return None
    is_set = isinstance(value, set | frozenset)
    return type(value).__name__, _in_order(value) if is_set else list(value)


def _of_text(value: Any) -> tuple[str, Any] | None:
    if type(value) in _AS_TEXT:
        return type(value).__name__, str(value)
    match value:
        case bytes() | bytearray():
            kind = "bytes" if isinstance(value, bytes) else "bytearray"
            return kind, b64encode(value).decode()
        case PurePath():
            return "Path", str(value)
        case re.Pattern():
            return "Pattern", [value.pattern, value.flags]
        case float():
            return "float", str(float(value))  # JSON has no word for one that is no number
    return None


def _of_time(value: Any) -> tuple[str, Any] | None:
    match value:
        case datetime() | time():
            zone = value.tzinfo
            named = zone.key if isinstance(zone, ZoneInfo) else None
            # The zone's name tells more than how far it is from UTC just then.
            said = value.replace(tzinfo=None) if named else value
            kind = "datetime" if isinstance(value, datetime) else "time"
            return kind, [said.isoformat(), named, value.fold]
        case date():
            return "date", value.isoformat()
        case timedelta():
            return "timedelta", [value.days, value.seconds, value.microseconds]
        case timezone():
            named = value.tzname(None)
            offset = value.utcoffset(None).total_seconds()
            usual = timezone(value.utcoffset(None)).tzname(None)
            return "timezone", [offset] if named == usual else [offset, named]
        case ZoneInfo():
            return "ZoneInfo", value.key
    return None


def _of_numbers(value: Any) -> tuple[str, Any] | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray) or value.dtype.hasobject:
        return None
    plain = numpy.ascontiguousarray(value)
    return "ndarray", [plain.dtype.str, list(value.shape), b64encode(plain.tobytes()).decode()]


def _array(dtype: str, shape: list[int], data: str) -> Any:
    import numpy as np

    return np.frombuffer(b64decode(data), dtype=np.dtype(dtype)).reshape(shape).copy()


def _moment(value: Any, said: list[Any]) -> Any:
    _, zone, fold = said
    return value.replace(tzinfo=ZoneInfo(zone) if zone else value.tzinfo, fold=fold)


def _in_order(value: set[Any] | frozenset[Any]) -> list[Any]:
    """Return a set in an order that is the same in every process, where it has one."""
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def fields_of(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return how an object of a class is made again, and of what; None for any other value."""
    of = type(value)
    if isinstance(value, Enum):
        return "enum", {"value": value.value}
    if isinstance(value, tuple) and hasattr(of, "_fields"):
        return "named", dict(zip(of._fields, value, strict=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "data", {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(found := getattr(of, "model_fields", None), dict):
        more = getattr(value, "model_extra", None) or {}
        return "model", {name: getattr(value, name) for name in found} | more
    if isinstance(found := getattr(of, "__fields__", None), dict):  # pydantic's first version
        return "model", {name: getattr(value, name) for name in found}
    return None


def remade(of: type[Any], how: str, fields: dict[str, Any]) -> Any:
    """Make an object of a class that the application has named."""
    if how == "enum":
        return of(fields["value"])
    if how == "data":
        return _data(of, fields)
    if how == "named":
        return of(**fields)
    try:
        return of(**fields)
    except ValueError:  # pydantic's: the class has changed since, or takes other names
        make = getattr(of, "model_construct", None) or of.construct
        return make(**fields)


def _data(of: type[Any], fields: dict[str, Any]) -> Any:
    given = {one.name for one in dataclasses.fields(of) if one.init}
    made = of(**{name: value for name, value in fields.items() if name in given})
    for one in dataclasses.fields(of):
        if not one.init and one.name in fields:
            object.__setattr__(made, one.name, fields[one.name])
    return made


def classes_of(types: Iterable[Any]) -> dict[str, type[Any]]:
    """Return the classes that *types* are, and that their annotations name, by their names."""
    found: dict[str, type[Any]] = {}
    seen, left = list[Any](), [*types]
    while left:
        one = left.pop()
        if any(one is other for other in seen):
            continue
        seen.append(one)
        left += get_args(one)
        if not isinstance(one, type) or one.__module__ == "builtins":
            continue
        is_dictionary = issubclass(one, dict) and hasattr(one, "__total__")
        if not is_dictionary:
            found[name_of(one)] = one
        if is_dictionary or dataclasses.is_dataclass(one) or _is_model(one):
            with suppress(NameError, TypeError):  # names that are known only where it was made
                left += get_type_hints(one, include_extras=True).values()
    return found


def _is_model(of: type[Any]) -> bool:
    return any(isinstance(getattr(of, name, None), dict | tuple) for name in _FIELDS)


def name_of(of: type[Any]) -> str:
    """Return the name by which a class is known."""
    return f"{of.__module__}:{of.__qualname__}"
