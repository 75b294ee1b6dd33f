"""What a file is, by its name."""

from __future__ import annotations

import mimetypes
from typing import Final

TEXTS: Final = frozenset({"application/json", "application/xml", "application/x-yaml"})
_UNKNOWN: Final = "application/octet-stream"
# The types that this Python knows, whatever the machine's own files say.
_TYPES: Final = mimetypes.MimeTypes()


def type_of(name: str) -> str:
    """Return the media type that a file's name stands for."""
    found, packed = _TYPES.guess_type(name, strict=False)
    if packed:
        return {"gzip": "application/gzip", "bzip2": "application/x-bzip2"}.get(packed, _UNKNOWN)
    return found or _UNKNOWN


def is_text(media_type: str) -> bool:
    """Tell whether a file is told a model as text."""
    return media_type.startswith("text/") or media_type in TEXTS
