"""What is found in a file of another program, record by record, in the order in which it stands."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from convostore.formats.foreign import ForeignConversation
from convostore.formats.own import OwnConversation


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be taken; those after it still can.

    Attributes:
        where: the place, as a person finds it: the file, and in it the record or the line.
        reason: one line.
        format: how it was read; None where nothing fits.
    """

    where: str
    reason: str
    format: str | None = None


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is no conversation, yet belongs to what was exported: a list of prompts.

    Attributes:
        where: as of `Refused`.
        what: it is, in a few words.
        raw: as it stood there.
    """

    where: str
    what: str
    raw: bytes


Found: TypeAlias = ForeignConversation | OwnConversation | Refused | Opaque
