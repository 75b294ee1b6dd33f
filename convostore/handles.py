"""Handles: the short names of conversations, as people type them (Crockford base32)."""

from __future__ import annotations

HANDLE_LENGTH = 8
ID_LENGTH = 36  # of an id, which may be typed as well
# Source: Douglas Crockford, "Base 32": no I, L, O (read as 1, 1, 0) and no U.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_FOLD = str.maketrans({"o": "0", "i": "1", "l": "1"})


def fold_handle(typed: str) -> str:
    """Return *typed* as a handle is stored: lower case, O as 0, I and L as 1.

    Source: Douglas Crockford, "Base 32", decoding.
    """
    return typed.strip().lower().translate(_FOLD)


def fold_id(typed: str) -> str:
    """Return *typed* as an id is stored, in lower case, if it is as long as one."""
    return typed.lower() if len(typed) == ID_LENGTH else typed


def is_handle_like(text: str) -> bool:
    """Tell whether *text*, already folded, can be a handle or the beginning of one."""
    return 0 < len(text) <= HANDLE_LENGTH and all(c in ALPHABET for c in text)
