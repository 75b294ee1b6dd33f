"""A safe file name from a title that anybody may have written."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

SLUG_LIMIT_BYTES: Final = 120  # with handle and suffix far below the 255 of common file systems
_HYPHENS: Final = re.compile("-+")


def file_name(title: str | None, handle: str, suffix: str) -> str:
    """Make `slug-of-the-title-handle.suffix`.

    Letters, digits and hyphens alone, so there is no folder, no dot but the suffix's and nothing a
    shell cares for. The handle is unique and always there: no two names collide, whatever case the
    file system folds, and none is a reserved one.
    """
    words = [slug(title or ""), slug(handle)]
    return f"{'-'.join(word for word in words if word)}.{suffix}"


def slug(text: str) -> str:
    """Return the letters and digits of *text*, in lower case, other runs as one hyphen."""
    kept = (c if _is_word(c) else "-" for c in unicodedata.normalize("NFC", text.lower()))
    plain = _HYPHENS.sub("-", "".join(kept)).strip("-")
    cut = plain.encode("utf-8", "ignore")[:SLUG_LIMIT_BYTES].decode("utf-8", "ignore")
    return cut.strip("-")


def _is_word(char: str) -> bool:
    """Tell letters and digits, and the vowel signs that many scripts write as marks."""
    if "\ufe00" <= char <= "\ufe0f":  # says how to draw the emoji before it, which is gone
        return False
    return char.isalnum() or unicodedata.category(char) in {"Mn", "Mc"}
