"""Whatever way conversations are written into a file, and however it is cut, each is found once."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from convostore.exchange import values
from convostore.exchange.limits import MIB
from convostore.exchange.reading import open_export
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Opaque
from tests.exchange.test_reading import chat

TEXT = st.text(alphabet='ab"\\{}[],: \n\ré\u2028\U0001f600', max_size=40)


class Trickle:
    """A source that gives few bytes at a time."""

    def __init__(self, raw: bytes, size: int) -> None:
        self._raw, self._size = io.BytesIO(raw), size

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(min(size, self._size) if size >= 0 else size)


def written(data: st.DataObject, ones: list[Any]) -> bytes:
    """Write conversations as one of the programs that there are might."""
    plain = data.draw(st.booleans())
    indent = data.draw(st.sampled_from([None, None, 0, 2, "\t"]))
    separators = data.draw(st.sampled_from([None, (",", ":")]))

    def dumped(value: Any, *, indented: bool = True) -> str:
        return json.dumps(
            value,
            ensure_ascii=plain,
            indent=indent if indented else None,
            separators=separators,
        )

    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    many = f",{end}".join(dumped(one, indented=False) for one in ones)
    way = data.draw(
        st.sampled_from(["array", "wrapper", "deep", "lines", "shared", "after each other"])
    )
    text = {
        "array": lambda: dumped(ones),
        "wrapper": lambda: dumped({"user": {"a": [1]}, "conversations": ones, "n": 2}),
        "deep": lambda: dumped({"data": {"of": {"x": ones}}}),
        "lines": lambda: end.join(dumped(one, indented=False) for one in ones) + end,
        "shared": lambda: f'{{"v": 1, "conversations": [{end}{many}{end}], "n": {{}}}}',
        "after each other": lambda: end.join(dumped(one) for one in ones),
    }[way]()
    mark = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf", b" \r\n"]))
    return mark + text.encode("utf-8", "surrogatepass")


@settings(max_examples=300)
@given(st.data())
def test_each_conversation_is_found_once(data: st.DataObject) -> None:
    """In arrays, wrappers, lines and after each other; in pieces of any size, whole or not at first."""
    texts = data.draw(st.lists(TEXT, min_size=1, max_size=6))
    ones = [chat(f"c{number}", text) for number, text in enumerate(texts)]
    raw = written(data, ones)
    source = Trickle(raw, data.draw(st.sampled_from([7, 16, 64, 1000])))
    looks = data.draw(st.sampled_from([16, 200, 1000, MIB]))
    block = data.draw(st.sampled_from([16, 500, 2000, MIB]))
    with (
        mock.patch.object(values, "_LOOKS_BYTES", looks),
        mock.patch.object(values, "_BLOCK_BYTES", block),
        open_export(source) as export,  # type: ignore[arg-type]  # it can do what is asked of it
    ):
        found = list(export)
    conversations = [one for one in found if isinstance(one, ForeignConversation)]
    assert [one for one in found if not isinstance(one, ForeignConversation | Opaque)] == []
    assert [one.source_id for one in conversations] == [f"c{n}" for n in range(len(ones))]
    assert len(found) - len(conversations) <= 1
    for one, text in zip(conversations, texts, strict=True):
        said = "".join(getattr(part, "text", "") for part in one.messages[0].parts)
        assert said == text
