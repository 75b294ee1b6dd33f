"""An export of many files: which of them hold conversations, and which stand beside them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.errors import FormatError
from convostore.exchange.along import Along
from convostore.exchange.databases import found_in_database
from convostore.exchange.decoding import UndecodableError, decoded
from convostore.exchange.finding import NothingKnownError
from convostore.exchange.limits import MIB
from convostore.exchange.own_contents import beside_member
from convostore.exchange.own_reading import created_at_ms, found_in_own, is_own
from convostore.exchange.progress import Progress
from convostore.exchange.streams import Stream
from convostore.exchange.texts import found_in_text
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Found, Opaque, Refused
from convostore.formats.own import SOURCE as OWN
from convostore.formats.own import OwnConversation
from convostore.formats.pointers import file_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from convostore.exchange.limits import Limits
    from convostore.exchange.members import Member
    from convostore.exchange.own_contents import Space

_DATABASES: Final = (".db", ".sqlite", ".sqlite3")
_RECORDS: Final = (".json", ".jsonl", ".ndjson", ".yaml", ".yml", *_DATABASES)
_ARCHIVES: Final = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".xz", ".bz2", ".zst")
_MANIFEST: Final = "export_manifest.json"
_NAMES: Final = "conversation_asset_file_names.json"
_LOGICAL: Final = "conversations.json"  # what a manifest calls the conversations
_HEADER_BYTES: Final = 16 * 1024  # the first line of an export of ours is shorter
_KEPT_BYTES: Final = MIB  # what stands beside the conversations is kept up to this size
_BESIDE: Final = "a file of the export that holds no conversation"


def found_in_members(
    members: Sequence[Member],
    limits: Limits,
    format: str | None,
    progress: Progress,
    space: Space,
) -> Iterator[Found]:
    """Yield what is found in the files of an export, those that its manifest names first.

    Before them come exports of our own, in the order in which they were written.

    Args:
        members: the files.
        limits: how much.
        format: whose every conversation has to be; None for any.
        progress: counts the bytes of the files that may hold conversations.
        space: for the attachments that an export of ours tells.

    Raises:
        NothingKnownError: none of them holds a conversation; nothing was yielded then.
    """
    along = Along(members, _object_in(members, _NAMES, limits))
    named, held = _named_by_manifest(members, limits)
    others = [one for one in members if _may_hold_records(one) and one not in named]
    own = _own_exports(others)
    names = _names([*named, *others])
    progress.total = sum(member.size for member in names)
    reading = _Reading(members, names, limits, space, progress)
    any_known = bool(own) and format in {None, OWN}
    for member in dict.fromkeys([*own, *named, *others]):
        for found in _placed(member, reading.found_in(member), format):
            held.append(along.put_to(found))
            any_known = any_known or isinstance(found, ForeignConversation)
            if any_known:
                yield from held
                held = []
    if not any_known:
        refusals = [one.reason for one in held if isinstance(one, Refused)]
        archives = [one.name for one in members if one.name.lower().endswith(_ARCHIVES)]
        inside = [f"it holds an archive, {one}: unpack it first" for one in archives]
        raise NothingKnownError(next(iter([*refusals, *inside]), None))
    yield from held


def _own_exports(members: Iterable[Member]) -> list[Member]:
    """Return those that are exports of ours, the oldest first: a step follows what it is a step from."""
    found = []
    for member in members:
        with suppress(OSError), member.open() as file:  # it is told when it is read for itself
            written = created_at_ms(file.read(_HEADER_BYTES).partition(b"\n")[0])
            if written is not None:
                found.append((written, member.name, member))
    return [member for *_, member in sorted(found, key=lambda one: one[:2])]


def _may_hold_records(member: Member) -> bool:
    """Tell whether a file is one of records, by its ending; what was uploaded is none.

    Neither is what a Mac puts beside each file that it packs, under the file's own name.
    """
    if member.base.startswith("._") or "__MACOSX" in member.name.split("/"):
        return False
    return member.name.lower().endswith(_RECORDS) and file_id_of(member.base) is None


def _named_by_manifest(
    members: Sequence[Member], limits: Limits
) -> tuple[list[Member], list[Found]]:
    """Return the files of conversations in the manifest's order, and a refusal of each missing one."""
    logical = _object_in(members, _MANIFEST, limits).get("logical_files")
    entry = logical.get(_LOGICAL) if isinstance(logical, dict) else None
    names = entry.get("files") if isinstance(entry, dict) else None
    found: list[Member] = []
    missing: list[Found] = []
    by_base = {member.base: member for member in reversed(members)}
    for name in names if isinstance(names, list) else []:
        member = by_base.get(name.rpartition("/")[2]) if isinstance(name, str) else None
        if member is None:
            reason = "the export's manifest names it, but it is not there"
            missing.append(Refused(where=str(name)[:200], reason=reason))
        elif member not in found:
            found.append(member)
    return found, missing


def _object_in(members: Sequence[Member], base: str, limits: Limits) -> dict[str, Any]:
    """Return the object in the first file of this name; an empty one where there is none."""
    for member in members:
        if member.base == base:
            try:
                with member.open() as file:
                    value, _ = decoded(file.read(limits.yaml_bytes), limits)
            except (OSError, UndecodableError):
                continue  # it is told when it is read for itself
            if isinstance(value, dict):
                return value
    return {}


def _names(members: Iterable[Member]) -> dict[Member, str]:
    """Return what each is called without its ending: with its folders where its own name is taken."""
    names: dict[Member, str] = {}
    taken: set[str] = set()
    for member in sorted(members, key=lambda one: (one.name.count("/"), one.name)):
        own, whole = member.base.rpartition(".")[0], member.name.rpartition(".")[0]
        names[member] = whole if own in taken else own
        taken.add(own)
    return names


class _Reading:
    """Reads the files of an export, one after the other."""

    def __init__(
        self,
        members: Iterable[Member],
        names: Mapping[Member, str],
        limits: Limits,
        space: Space,
        progress: Progress,
    ) -> None:
        self._by_name = {member.name: member for member in members}
        self._names, self._limits = names, limits
        self._space, self._progress = space, progress

    def found_in(self, member: Member) -> Iterator[Found]:
        """Yield what is found in one file; that it cannot be read is found, too."""
        try:
            if member.path is not None and member.base.lower().endswith(_DATABASES):
                yield from found_in_database(member.path, self._limits, None, Progress())
                self._progress.done += member.size
                return
            with member.open() as file:
                yield from self._found_in_text(member, Stream(self._progress.counting(file)))
        except NothingKnownError as error:
            yield Refused(where="", reason=error.spoiled) if error.spoiled else _beside(member)
        except FormatError as error:
            yield Refused(where="", reason=error.reason)
        except OSError as error:
            yield Refused(where="", reason=error.strerror or str(error))

    def _found_in_text(self, member: Member, stream: Stream) -> Iterator[Found]:
        if is_own(stream):
            beside = beside_member(member, self._by_name)
            return found_in_own(stream, self._limits, self._space, beside)
        return found_in_text(stream, self._names[member], self._limits, None)


def _placed(member: Member, founds: Iterable[Found], format: str | None) -> Iterator[Found]:
    """Yield what is found, with the file before its place; nothing of another format than asked."""
    for found in founds:
        if isinstance(found, ForeignConversation):
            asked = format in {None, found.source}
            reason = f"conversation {found.source_id} is of {found.source}, not of {format}"
            yield found if asked else Refused(where=member.name, reason=reason)
        elif isinstance(found, OwnConversation) and format not in {None, OWN}:
            reason = f"conversation {found.record.id} is of {OWN}, not of {format}"
            yield Refused(where=member.name, reason=reason)
        else:
            place = f"{member.name}: {found.where}" if found.where else member.name
            yield msgspec.structs.replace(found, where=place)


def _beside(member: Member) -> Found:
    try:
        with member.open() as file:
            raw = file.read(_KEPT_BYTES + 1)
    except OSError as error:
        return Refused(where="", reason=error.strerror or str(error))
    if len(raw) > _KEPT_BYTES:
        return Opaque(where="", what=f"{_BESIDE}, and too long to keep", raw=b"")
    return Opaque(where="", what=_BESIDE, raw=raw)
