"""Markdown: readable, faithful, and no text can pass itself off as structure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from convostore.formats import markdown
from convostore.formats.markdown import MarkdownWriter
from convostore.formats.writing import Outline
from convostore.parts import Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import ConversationDossier, ConversationRecord, Message
from tests.formats.conftest import export_text

if TYPE_CHECKING:
    from tests.formats.conftest import Shelf

NASTY = [
    "\n", "\r\n", " ", "    ", "\t", "a", "```", "````", "~~~", "`", "```text", "#", "## ", "User",
    "Assistant", "\n---\n", "===", "> ", "- ", "1. ", "<!--", "-->", "<details>", "</details>",
    "<pre>", "<script>", "<h2>User</h2>", "<https://x.test>", "*", "[x]: y", "|", "\\", "---", "<", ">",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(NASTY), max_size=12).map("".join)
PARTS = st.lists(
    TEXT.map(TextPart)
    | TEXT.map(ReasoningPart)
    | st.builds(ToolCallPart, TEXT, TEXT, TEXT)
    | st.builds(ToolResultPart, TEXT, TEXT, TEXT),
    min_size=1,
    max_size=3,
)


def outline(text: str) -> list[tuple[str, str]]:
    """Return the headings of the two upper levels, and the HTML that a reader would act on."""
    found = []
    tokens = MarkdownIt("commonmark").parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and token.level == 0 and token.tag in {"h1", "h2"}:
            assert following is not None
            found.append((token.tag, following.content))
        if token.type == "html_block":
            found.append(("html", token.content.strip()))
        found += [
            ("html", child.content) for child in token.children or () if child.type == "html_inline"
        ]
    return found


@given(bodies=st.lists(PARTS, min_size=1, max_size=3))
@example(bodies=[[TextPart("\\```<details>```")]])  # an escaped backtick begins no code
@example(bodies=[[TextPart("`<!--\n-->")]])  # a comment of two lines
@example(bodies=[[TextPart('x <a title="<">')]])
@example(bodies=[[TextPart("x <!-- < -->")]])
@example(bodies=[[TextPart("Assistant\n=== x\n---\n")]])  # a heading of two lines
@example(bodies=[[TextPart("a `\n` <i> `")]])  # the code ends on the second line
@example(bodies=[[TextPart("a <!X ` <https://x.test> `")]])  # it began before the code
@example(bodies=[[TextPart("# `\na `\n` <i> ` b")]])
def test_no_text_passes_itself_off_as_a_message(bodies: list[list[Part]]) -> None:
    """A CommonMark reader sees our role headings and our details, whatever the texts hold."""
    messages = [Message(role="user", text="", parts=tuple(parts)) for parts in bodies]
    page = "".join(map(markdown.message, messages))
    seen = outline(page)
    ours = [("h2", "User")] * len(messages)
    roles = {"user", "assistant", "system", "tool"}
    assert [one for one in seen if one[0] == "h2" and one[1].split(" ")[0].lower() in roles] == ours
    hidden = sum(not isinstance(part, TextPart) for parts in bodies for part in parts)
    tags = [content for kind, content in seen if kind == "html"]
    assert len(tags) == 2 * hidden
    assert all(tag == "</details>" or tag.startswith("<details>\n<summary>") for tag in tags)


@given(text=TEXT)
def test_text_stands_in_the_page_unchanged(text: str) -> None:
    """Fenced or not, the very text can be copied out of the page."""
    assert text in markdown.message(Message(role="assistant", text=text))


@pytest.mark.parametrize(
    "text",
    [
        "Use `<div>` here.",
        "## Day one\n\nWalk.",
        "```py\nx\n```",
        "1. a\n   ```py\n   x\n   ```",
        "see <https://x.test>",
        "a < b",
    ],
)
def test_ordinary_markdown_is_not_fenced(text: str) -> None:
    """Headings, whole fences, code spans and links are what an answer is made of."""
    assert markdown.message(Message(role="assistant", text=text)) == f"\n## Assistant\n\n{text}\n"


@pytest.mark.parametrize(
    "text",
    [
        "```py\nx = ",
        "## User\n\nforged",
        "Assistant\n---\nforged",
        "<!-- open",
        "a <b>c",
        "- a\n  ```\n<details>\n  ```",
        "> <!--",
    ],
)
def test_text_that_would_become_structure_is_fenced(text: str) -> None:
    """An open fence, a heading like ours and HTML are shown as they are, and end with the text."""
    fence = "````" if "```" in text else "```"
    page = markdown.message(Message(role="user", text=text))
    assert page == f"\n## User\n\n{fence}text\n{text}\n{fence}\n"


@given(title=st.text(st.characters(exclude_categories=["Cs"])) | TEXT)
def test_no_title_escapes_the_front_matter_or_its_heading(title: str) -> None:
    """A title is one quoted line above and one heading below, whatever it holds."""
    record = ConversationRecord(id="c", handle="h", title=title)
    one, writer = ConversationDossier(record=record), MarkdownWriter(program="p")
    page = "".join(map(str, writer.conversation(one, Outline((), None), b"")))
    lines = page.split("\n")
    assert page.splitlines() == lines[:-1]
    assert lines[0] == "---"
    assert lines.index("---", 1) == 13
    assert json.loads(lines[1].removeprefix("title: ")) == title
    body = "\n".join(lines[14:])
    assert [tag for tag, _ in outline(body)] == ["h1"]


@pytest.mark.parametrize(
    ("status", "mark"),
    [
        ("interrupted", "*(interrupted)*"),
        ("stopped", "*(stopped)*"),
        ("erased", "*(erased)*"),
        ("streaming", "*(still being written when this was exported)*"),
    ],
)
def test_reply_that_did_not_complete_is_marked(status: str, mark: str) -> None:
    """A broken-off answer is never shown as complete."""
    page = markdown.message(Message(role="assistant", text="half", status=status))  # type: ignore[arg-type] # parametrized
    assert page == f"\n## Assistant\n\nhalf\n\n{mark}\n"


@pytest.mark.asyncio
async def test_page_shows_the_path_to_the_head_and_counts_the_rest(shelf: Shelf) -> None:
    """Other branches stay out, and the front matter says how many messages they hold."""
    shelf.put_rich()
    page = "".join([piece async for piece in export_text(shelf, ["7k3m0000"], format="markdown")])
    assert 'title: "Kyoto"' in page
    assert "messages: 2\nmessages_on_other_branches: 2\n" in page
    assert [text for tag, text in outline(page.split("---\n\n", 1)[1]) if tag != "html"] == [
        "Kyoto",
        "User (Ada)",
        "Assistant (tulu3-405b)",
    ]
    assert "secret" not in page
    assert page.index("Three ") < page.index("Tool call: look&lt;up&gt;") < page.index("days.")
    assert page.endswith("days.\n\n*(interrupted)*\n")
    assert "broke" not in page


def test_failed_reply_says_why_in_one_line() -> None:
    """The stored error stands below the text, its markup disarmed."""
    from convostore.records import ErrorRecord

    error = ErrorRecord(code="incomplete_reply", message="broke\n*off*")
    page = markdown.message(Message(role="assistant", text="It", status="failed", error=error))
    assert page.endswith("It\n\n*(failed: broke \\*off\\*)*\n")
