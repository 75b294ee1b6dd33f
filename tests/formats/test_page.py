"""The page: whole without a script, harmless whatever was written, with a switch at each fork."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convostore.formats.page_style import POLICY, STYLE
from convostore.formats.rendered import LONGEST_CHARS, _parser, rendered
from convostore.parts import TextPart
from convostore.records import Message
from tests.formats import hostile
from tests.formats.conftest import ATTACHED, BYTES, Shelf, export_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

VOID = {"meta", "input", "img", "br", "hr"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "article", "header", "footer"),
    *("section", "div", "span", "p", "b", "bdi", "time", "h1", "h2", "h3", "h4", "h5", "h6"),
    *("a", "ul", "ol", "li", "blockquote", "hr", "br", "em", "strong", "s", "code", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption"),
    *("img", "label", "input"),
}


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.deepest = 0
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"nothing is open at </{tag}>"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


async def no_bytes(sha256: str) -> AsyncGenerator[bytes]:
    """Yield the bytes of any attachment."""
    del sha256
    yield BYTES


async def page_of(shelf: Shelf) -> str:
    """Return the page of all that is on a shelf."""
    return "".join([piece async for piece in export_text(shelf, None, format="html")])


PIECES = ["a", "é", "学", "7.", "7) ", "- ", "+ ", " ", "    ", "\t", "\n", "\n\n", "\n \n", ":", "=", "#",
          "'", '"', "\u2028", "\x85", "\u00a0", "https://e.org", "a@b.c", "\x0b", "`", "*", "~~", "|",
          "[a]: b", "\r", "&amp;", "\\", "!", "<b>", "_", "\x00", "\x1f"]  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES[:21]) | st.sampled_from(PIECES), max_size=10).map("".join))
def test_paragraphs_of_words_are_shown_as_the_parser_shows_them(text: str) -> None:
    """What has no markup goes the short way, and comes to the same bytes."""
    assert rendered(text) == _parser().render(text)


@pytest.mark.asyncio
async def test_nothing_that_anybody_wrote_runs_or_loads(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the corpus nothing is an element, an attribute or an address but what we made of it."""
    monkeypatch.setattr(shelf, "attachment", no_bytes)
    shelf.put(*hostile.conversation())
    page = await page_of(shelf)
    seen = Seen(page)
    assert seen.open == []
    assert {tag for tag, _ in seen.tags} <= ALLOWED
    names = {name for _, attributes in seen.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert names <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "dir", "datetime"),
        *("role", "aria-label", "type", "autocomplete", "checked", "href", "rel", "src", "alt"),
        "start",
    }
    for tag, attributes in seen.tags:
        assert "src" not in attributes or tag == "img"
        assert (attributes.get("src") or "data:image/png;base64,").startswith(
            "data:image/png;base64,"
        )
        href = attributes.get("href")
        assert href is None or (tag == "a" and re.match(r"(https?://|mailto:)\S*$", href))
        if tag == "meta" and attributes.get("http-equiv"):
            assert attributes == {"http-equiv": "Content-Security-Policy", "content": POLICY}
    assert sum(tag == "style" for tag, _ in seen.tags) == 1
    assert [tag for tag, _ in seen.tags].index("meta") < [t for t, _ in seen.tags].index("style")
    for text in hostile.TEXTS:  # nothing is left out, either
        assert re.sub(r"\s", "", text)[:60] in re.sub(r"\s", "", seen.text)


def test_policy_allows_our_own_style_alone() -> None:
    """Nothing is loaded, run or sent; the style is known by its hash, pictures are in the page."""
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search(r"</|url\(|@import", STYLE)


def test_columns_of_a_table_are_aligned_by_the_pages_own_style() -> None:
    """The policy lets no style of an element through: a class says it, for which there is a rule."""
    cells = Seen(rendered("| a | b | c | d |\n|:--|--:|:-:|---|\n| 1 | 2 | 3 | 4 |\n")).tags
    expected = [{}, {"class": "right"}, {"class": "center"}, {}]
    for name in ("th", "td"):
        assert [attributes for tag, attributes in cells if tag == name] == expected
        for side in ("right", "center"):
            assert re.search(rf"{name}\.{side}[^{{}}]*{{text-align:{side}}}", STYLE)


@pytest.mark.asyncio
async def test_page_has_the_whole_tree_and_the_active_path_is_chosen(shelf: Shelf) -> None:
    """At each fork there is a button for each way; what stands beside the path is behind its own."""
    shelf.put_rich()
    page = await page_of(shelf)
    assert page.count('<section class="m ') == 4
    buttons = re.findall(
        r'<label class="(\w+)"><input type="radio" name="fork1"[^>]*?( checked)?', page
    )
    assert [kind for kind, _ in buttons] == ["off", "on"]
    alternative = page[page.index('<div class="alt">') : page.index("<p>Three")]
    assert "broke *off*" in alternative
    assert "(failed: broke *off*)" in page
    assert "(interrupted" in page


@pytest.mark.asyncio
async def test_page_of_a_deep_tree_is_not_deep(shelf: Shelf) -> None:
    """Browsers cut off what nests deeper than some hundreds; a tree that forks at every message does not."""
    messages = []
    for seq in range(1, 2_001):
        above = seq - 1 if seq % 2 else seq - 2
        messages.append(
            Message(
                "user", f"t{seq}", id=f"m{seq}", seq=seq, parent_seq=above if above > 0 else None
            )
        )
    id_ = shelf.put_plain(1)
    record = msgspec.structs.replace(
        shelf.kept[id_].record, head_seq=None, last_seq=2_000, message_count=2_000
    )
    shelf.put(msgspec.structs.replace(shelf.kept[id_], record=record), messages)
    seen = Seen(await page_of(shelf))
    assert seen.deepest < 60
    assert seen.text.count("t1999") == 1


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "*a" * 60_000, "`a" * 50_000, "> " * 50_000, "x" * LONGEST_CHARS * 2]
)
def test_long_hostile_markdown_takes_no_time(text: str) -> None:
    """What has no end is shown all the same, within seconds: the time limit of a test holds it."""
    markup = str.maketrans("", "", "*`> \n")
    assert Seen(rendered(text)).text.translate(markup) == text.translate(markup)


@pytest.mark.asyncio
async def test_picture_is_in_the_page(shelf: Shelf) -> None:
    """Its bytes are a data URL; what is no picture is named only, and counted."""
    id_ = shelf.put_plain(1)
    other = msgspec.structs.replace(ATTACHED, media_type="image/svg+xml")
    question, answer = shelf.messages[id_]
    question = msgspec.structs.replace(question, parts=(ATTACHED, other, TextPart("see")))
    shelf.messages[id_] = [question, answer]
    text = export_text(shelf, None, format="html")
    page = "".join([piece async for piece in text])
    data = base64.b64encode(BYTES).decode()
    assert re.findall(r'src="([^"]*)"', page) == [f"data:image/png;base64,{data}"]
    assert text.report.losses == {"attachments that are no pictures (their names are told)": 1}
