"""The Markdown of an answer as HTML that can do nothing: no markup of its own, no scripts, no loads.

The answer's own HTML is text. A link is one only to a web page or a mail address; a picture becomes a
link to it, for showing it would tell its server who reads.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_CHARS: Final = 100_000  # longer texts stand as they are: parsing them takes seconds
_ALIGNED: Final = {"text-align:right": "right", "text-align:center": "center"}
_MARKUP: Final = re.compile(r"""[\x00-\x1f\\`*_\[\]<>&~|!]""")  # and ends of lines
_LINK: Final = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f]", re.IGNORECASE)


def rendered(text: str) -> str:
    """Return *text*, Markdown of anybody, as HTML."""
    if len(text) > LONGEST_CHARS:
        return plain(text)
    paragraphs = [one.rstrip(" ") for one in text.split("\n\n")]
    if all(map(_is_words, paragraphs)):  # the parser takes ten times as long
        shown = (escape(one, quote=False).replace('"', "&quot;") for one in paragraphs)
        return "".join(f"<p>{one}</p>\n" for one in shown)
    html: str = _parser().render(text)
    return html


def _is_words(paragraph: str) -> bool:
    """Tell whether Markdown makes nothing of a paragraph but the paragraph."""
    return (
        paragraph[:1].isalpha()
        and not paragraph[-1:].isspace()
        and _MARKUP.search(paragraph) is None
    )


def plain(text: str) -> str:
    """Return *text* as it is, with its line ends and spaces."""
    return f'<div class="plain">{escape(text)}</div>\n'


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _leads_elsewhere  # type: ignore[method-assign] # as its documentation has it
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("th_open", _cell)
    parser.add_render_rule("td_open", _cell)
    return parser


def _leads_elsewhere(url: str) -> bool:
    return _LINK.match(url) is not None


def _link(
    renderer: Any, tokens: Sequence[Token], at: int, options: object, environment: object
) -> str:
    del renderer, options, environment
    target = escape(str(tokens[at].attrGet("href") or ""))
    return f'<a href="{target}" rel="noopener noreferrer nofollow">'


def _cell(
    renderer: Any, tokens: Sequence[Token], at: int, options: object, environment: object
) -> str:
    """Return a table's cell with a class for its alignment: the page's policy lets no style through."""
    del renderer, options, environment
    token = tokens[at]
    name = _ALIGNED.get(str(token.attrGet("style")))
    return f'<{token.tag} class="{name}">' if name else f"<{token.tag}>"


def _picture(
    renderer: Any, tokens: Sequence[Token], at: int, options: object, environment: object
) -> str:
    del renderer, options, environment
    target = escape(str(tokens[at].attrGet("src") or ""))
    shown = escape(tokens[at].content) or "picture"
    return f'<a href="{target}" rel="noopener noreferrer nofollow">{shown}</a>'
