"""What came along in an export: pictures, recordings and uploads, found by what messages say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignFile
from convostore.formats.pointers import Pointer, file_id_of, pointers_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convostore.exchange.members import Member
    from convostore.formats.found import Found

_NAMELESS: Final = ".dat"  # the ending of a file whose own name stands elsewhere


class Along:
    """The files of an export to which messages may refer.

    Args:
        members: all files of the export; none where a single file was exported.
        names: what those without a name are really called.
    """

    def __init__(self, members: Iterable[Member], names: Mapping[str, object]) -> None:
        self._names = names
        self._by_id: dict[str, Member] = {}
        for member in members:
            if id_ := file_id_of(member.base):
                self._by_id.setdefault(id_, member)

    def put_to(self, found: Found) -> Found:
        """Return a conversation with the files that came along, and a remark on those that did not."""
        if not isinstance(found, ForeignConversation):
            return found
        files, absent = [], 0
        for pointer in pointers_in(found):
            member = self._by_id.get(pointer.file_id)
            if member is None:
                absent += 1
            else:
                files.append(self._file(pointer, member))
        if not files and not absent:
            return found
        remarks = [f"files that are not in the export: {absent}"] if absent else []
        return msgspec.structs.replace(
            found, files=(*found.files, *files), remarks=(*found.remarks, *remarks)
        )

    def _file(self, pointer: Pointer, member: Member) -> ForeignFile:
        known = self._names.get(member.base)
        own = member.base.removeprefix(pointer.file_id).lstrip("-_")
        nameless = own in {"", _NAMELESS}
        name = pointer.name or (known if isinstance(known, str) else "")
        return ForeignFile(
            message=pointer.message,
            part=pointer.part,
            name=(name or (member.base if nameless else own)).rpartition("/")[2],
            media_type=pointer.media_type,
            open=member.open,
        )
