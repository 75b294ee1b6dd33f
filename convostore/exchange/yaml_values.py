"""A file of YAML to a value: texts stay texts, nothing is made that was not written, nothing recurses.

The scalars are those of YAML 1.2, as the programs write that we read: no is a text there, and a date is.
Aliases would let a small file become a large value, and no such program writes them: they are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convostore.exchange.limits import Limits

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT: Final = re.compile(r"[-+]?[0-9]{1,1000}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_STR: Final = "tag:yaml.org,2002:str"


class NoYamlError(ValueError):
    """The text is no YAML, or more of it than is read; its text is the reason, in one line."""


def yaml_value(text: str, limits: Limits) -> Any:
    """Return the value of the one document in *text*.

    Raises:
        NoYamlError: it is none, or has aliases, or is deeper than the limit.
    """
    import yaml  # few need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(limits.depth)
    try:
        for event in yaml.parse(text, Loader=loader):
            match event:
                case yaml.AliasEvent():
                    raise NoYamlError("it has aliases, which are not read")
                case yaml.DocumentStartEvent():
                    builder.begin()
                case yaml.ScalarEvent():
                    builder.put(_scalar(event))
                case yaml.MappingStartEvent():
                    builder.open({})
                case yaml.SequenceStartEvent():
                    builder.open([])
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    builder.close()
    except yaml.YAMLError as error:
        raise NoYamlError(f"it is no YAML: {' '.join(str(error).split())}") from None
    return builder.root


def _scalar(event: Any) -> Any:
    text: str = event.value
    plain = event.implicit[0] and event.tag in {None, "!"}
    if not plain or event.tag == _STR:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Builder:
    """Puts values into each other as they come."""

    def __init__(self, depth: int) -> None:
        self.root: Any = None
        self._depth = depth
        self._open: list[Any] = []
        self._keys: list[Any] = []  # of each open mapping the key that waits for its value
        self._documents = 0

    def begin(self) -> None:
        self._documents += 1
        if self._documents > 1:
            raise NoYamlError("it has several documents")

    def put(self, value: Any) -> None:
        if not self._open:
            self.root = value
        elif isinstance(self._open[-1], list):
            self._open[-1].append(value)
        elif self._keys[-1] is _NO_KEY:
            if not isinstance(value, str):
                value = "null" if value is None else str(value)
            self._keys[-1] = value
        else:
            self._open[-1][self._keys[-1]] = value
            self._keys[-1] = _NO_KEY

    def open(self, container: Any) -> None:
        if self._open and isinstance(self._open[-1], dict) and self._keys[-1] is _NO_KEY:
            raise NoYamlError("one of its keys is no text")
        self.put(container)
        self._open.append(container)
        self._keys.append(_NO_KEY)
        if len(self._open) > self._depth:
            raise NoYamlError(f"it is nested more than {self._depth:,} levels deep")

    def close(self) -> None:
        self._open.pop()
        self._keys.pop()


_NO_KEY: Final = object()
