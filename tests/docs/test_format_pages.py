"""Every format that is read has its page, and what the pages say of limits is what holds."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from convostore.exchange.limits import Limits
from convostore.exchange.reading import FORMATS

PAGES = Path(__file__).parents[2] / "docs" / "formats"
INDEX = (PAGES / "README.md").read_text("utf-8")
OWN = "convostore"


def test_every_format_has_a_page_that_says_its_promise() -> None:
    """Each is in the list with the level that its page promises; no page is of no format."""
    listed = dict(re.findall(r"^\| \[`([^`]+)`\]\([^)]+\) .*\| (A|B) \|$", INDEX, re.MULTILINE))
    assert set(listed) == {name for name in FORMATS if name != OWN}
    assert {page.stem for page in PAGES.glob("*.md")} >= set(listed)
    for name, level in listed.items():
        page = (PAGES / f"{name}.md").read_text("utf-8")
        assert f"**Promise: level {level}" in page
        assert f"`{name}`" in page


def test_limits_of_the_page_are_those_of_the_program() -> None:
    """Each by its name and with its default."""
    told = {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", INDEX, re.MULTILINE)
    }
    assert told == msgspec.structs.asdict(Limits())
