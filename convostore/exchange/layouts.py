"""The formats of an export: their names, what their files are called, and who writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import msgspec

from convostore import __version__
from convostore.errors import FormatError
from convostore.formats.chatgpt_out import ChatGPTWriter
from convostore.formats.claude_out import ClaudeWriter
from convostore.formats.markdown import MarkdownWriter
from convostore.formats.openai_rows import OpenAIWriter
from convostore.formats.openwebui_out import OpenWebUIWriter
from convostore.formats.page import PageWriter
from convostore.formats.plaintext import TextWriter
from convostore.formats.sharegpt_rows import ShareGPTWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.formats.writing import Writer

Format: TypeAlias = Literal[
    "jsonl", "markdown", "html", "text", "chatgpt", "claude", "openwebui", "openai", "sharegpt"
]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
PROGRAM: Final = f"convostore {__version__}"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How files of a format are laid out.

    Attributes:
        suffix: of a file's name.
        apart: a page is for one conversation: many get a file each, unless a file is named.
    """

    suffix: str
    apart: bool = False


LAYOUTS: Final[dict[Format, Layout]] = {
    "jsonl": Layout(suffix="jsonl"),
    "markdown": Layout(suffix="md", apart=True),
    "html": Layout(suffix="html", apart=True),
    "text": Layout(suffix="txt", apart=True),
    "chatgpt": Layout(suffix="json"),
    "claude": Layout(suffix="json"),
    "openwebui": Layout(suffix="json"),
    "openai": Layout(suffix="jsonl"),
    "sharegpt": Layout(suffix="json"),
}


def known_format(name: str) -> Format:
    """Return *name* as one of the formats.

    Raises:
        FormatError: it is none.
    """
    for known in FORMATS:
        if name == known:
            return known
    raise FormatError(
        f"there is no export format {name!r}",
        format=name,
        record=None,
        reason="unknown format",
        hint=f"take one of: {', '.join(FORMATS)}",
    )


def writer_of(kind: Format, *, book: bool) -> Writer:
    """Return who writes a file of a format, other than our own.

    Args:
        kind: the format.
        book: several conversations go into that file.
    """
    made: dict[str, Callable[[], Writer]] = {
        "markdown": lambda: MarkdownWriter(program=PROGRAM, book=book),
        "html": lambda: PageWriter(program=PROGRAM),
        "text": TextWriter,
        "chatgpt": ChatGPTWriter,
        "claude": ClaudeWriter,
        "openwebui": OpenWebUIWriter,
        "openai": OpenAIWriter,
        "sharegpt": ShareGPTWriter,
    }
    return made[kind]()
