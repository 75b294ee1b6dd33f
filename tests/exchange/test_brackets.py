"""The ends of values are found wherever the stream is cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from convostore.exchange.brackets import Brackets

TEXT = st.text(alphabet='ab"\\{}[],:\né\U0001f600', max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ITEMS = st.lists(st.lists(VALUES, max_size=3) | st.dictionaries(TEXT, VALUES, max_size=3))


@given(ITEMS, st.integers(1, 9), st.booleans())
def test_values_end_where_they_end(items: list[Any], size: int, ascii: bool) -> None:
    """Each value of an array comes whole, in pieces of any size, and then the array's end."""
    text = json.dumps(items, ensure_ascii=ascii).encode() + b' ["behind"]'
    brackets, held, found, behind = Brackets(), b"", [], None
    for at in range(1, len(text), size):
        piece = text[at : at + size]
        cuts, end = brackets.cuts(piece)
        start = 0
        for cut in cuts:
            found.append(json.loads((held + piece[start:cut]).strip(b", ")))
            held, start = b"", cut
        if end is not None:
            behind = at + end
            break
        held += piece[start:]
    assert found == items
    assert behind is not None
    assert text[behind:] == b'] ["behind"]'


def test_many_brackets_are_counted_in_steps() -> None:
    """The place of the ten-thousandth bracket is found as that of the first."""
    text = b'{"a": [{}, "}"]}' * 5000
    cuts, end = Brackets().cuts(text)
    assert cuts == list(range(16, 16 * 5000 + 1, 16))
    assert end is None
