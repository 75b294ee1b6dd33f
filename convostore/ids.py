"""Ids for machines (UUIDv7) and handles for people (Crockford base32)."""

from __future__ import annotations

import hmac
import os
import sys
from typing import Final
from uuid import UUID

from convostore.handles import ALPHABET, HANDLE_LENGTH

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7  # not its `compat`, whose standard type costs eight times as much

_TOKEN_LENGTH: Final = 16
_TOKENS_AT_ONCE: Final = 128
_chosen: list[bytes] = []  # for tokens to come
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_chosen.clear)  # or parent and child had the same ones


def new_id() -> str:
    """Make a time-ordered id: a UUIDv7 as 36 characters."""
    return str(uuid7())


def new_handle() -> str:
    """Make a random handle of 8 characters (40 bits); unique only once the store has taken it."""
    return _random(HANDLE_LENGTH)


def new_owner_id() -> str:
    """Make an owner's short id: 10 random characters (50 bits), for it stands in every key."""
    return _random(10)


def new_token() -> str:
    """Make a lease token: 16 random characters (80 bits)."""
    # Each call of the system lets go of the interpreter, and waits to have it back: it is made for
    # many turns at once.
    try:
        chosen = _chosen.pop()
    except IndexError:
        random = os.urandom(_TOKENS_AT_ONCE * _TOKEN_LENGTH)
        cuts = range(_TOKEN_LENGTH, len(random), _TOKEN_LENGTH)
        _chosen.extend(random[at : at + _TOKEN_LENGTH] for at in cuts)
        chosen = random[:_TOKEN_LENGTH]
    return _characters(chosen)


def _random(length: int) -> str:
    return _characters(os.urandom(length))


def _characters(random: bytes) -> str:
    """Return a character for each byte; the alphabet has 32, so five bits of it choose evenly."""
    return "".join([ALPHABET[byte & 31] for byte in random])


def identity_at(anonymous_user_id: str, home_url: str | None, server_url: str) -> str:
    """Return who to be at *server_url*: at home the id itself, elsewhere one made from it.

    The id is a password to all that the home server keeps of the conversation. What another
    server is told is always the same, and does not lead back to it.
    """
    if home_url in {None, server_url}:
        return anonymous_user_id
    made = hmac.digest(anonymous_user_id.encode(), server_url.encode(), "sha256")
    return str(UUID(bytes=made[:16], version=4))
