"""JSON laid out for people says what it said before."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from convostore.formats.laid_out import laid_out

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=12,
)


@given(JSON)
def test_laid_out_json_is_that_of_the_standard_library(value: object) -> None:
    """Where nothing is written twice or oddly, both agree to the letter."""
    text = json.dumps(value, ensure_ascii=False)
    assert laid_out(text) == json.dumps(value, ensure_ascii=False, indent=2)


def test_nothing_that_was_written_is_written_otherwise() -> None:
    """Keys that stand twice, long numbers and escapes are there as they were."""
    text = r'{"a":1,"a":2,"big":123456789012345678901234567890.10,"e":1E400,"t":"\u00e9, [\"x\"]"}'
    shown = laid_out(text)
    assert re.sub(r"\n *|(?<=\":) ", "", shown) == text
    assert shown.count("\n") == 6
    number = "9" * 6_000
    assert laid_out(f"[{number}]") == f"[\n  {number}\n]"


def test_what_is_deep_long_or_no_json_stands_as_it_is() -> None:
    """It would grow to a multiple of itself."""
    for text in ("[" * 900 + "]" * 900, f"[{'1,' * 20_000}1]", "ls -l {", "", '{"a": 1} and'):
        assert laid_out(text) == text
    wide = "[" * 39 + ",".join("1" * 9_000) + "]" * 39
    assert laid_out(wide) == wide
