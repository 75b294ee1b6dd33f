from __future__ import annotations

import pytest

from convostore.cli import typed
from convostore.errors import UsageError


def test_options_are_numbers_truths_and_texts() -> None:
    """What looks like a number or a truth is one; everything else stays text."""
    pairs = ["a=1", "b=0.5", "c=true", "d=False", "e=x=y", "f=", "g=nan", "h=1e400", "i=-3"]
    assert typed.settings(pairs) == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": False,
        "e": "x=y",
        "f": "",
        "g": "nan",
        "h": "1e400",
        "i": -3,
    }


def test_the_last_of_two_equal_options_counts() -> None:
    """As with every program, a later option overrides an earlier one."""
    assert typed.settings(["a=1", "a=2"]) == {"a": 2}


@pytest.mark.parametrize("pair", ["temperature", "=1", " =1", ""])
def test_an_option_without_name_or_value_is_refused(pair: str) -> None:
    """A pair that is no pair is an error that shows what one looks like."""
    with pytest.raises(UsageError) as refused:
        typed.settings([pair])
    assert "temperature=0.2" in refused.value.hint


@pytest.mark.parametrize(
    "pair", ["access_token=canary", 'extra_headers={"Authorization":"Bearer canary"}']
)
def test_a_key_is_no_option(pair: str) -> None:
    """It would be stored with the conversation; it is not repeated either."""
    with pytest.raises(UsageError) as caught:
        typed.settings([pair])
    assert "canary" not in str(caught.value)
    assert "keys set" in caught.value.hint


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 5_000 + "]" * 5_000])
def test_brackets_without_end_are_text(text: str) -> None:
    """As whatever else is no JSON."""
    assert typed.settings([f"x={text}"]) == {"x": text}
