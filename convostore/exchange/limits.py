"""How much of a file of another program is read before it is refused: every limit by its name."""

from __future__ import annotations

from typing import Final

import msgspec

MIB: Final = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of reading; what passes one is refused by name, and the records beside it are read.

    Attributes:
        entries: members of an archive, or files of a folder.
        depth: levels of arrays and objects in a record; nothing recurses.
        record_bytes: of one record, which is held in memory.
        line_bytes: of one line of JSON Lines.
        yaml_bytes: of a file of YAML, which is read whole.
        unpacked_bytes: of all members of an archive together.
        ratio: unpacked to packed bytes of a member that is larger than `ratio_from_bytes`.
        ratio_from_bytes: below this a member may be packed as well as it can be.
    """

    entries: int = 100_000
    depth: int = 50_000
    record_bytes: int = 64 * MIB
    line_bytes: int = 64 * MIB
    yaml_bytes: int = 16 * MIB
    unpacked_bytes: int = 32 * 1024 * MIB
    ratio: int = 200
    ratio_from_bytes: int = 16 * MIB
