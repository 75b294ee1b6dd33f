"""An export of many files: which of them hold conversations, and which stand beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.errors import FormatError
from convostore.exchange.along import Along
from convostore.exchange.databases import found_in_database
from convostore.exchange.decoding import UndecodableError, decoded
from convostore.exchange.finding import NothingKnownError
from convostore.exchange.limits import MIB
from convostore.exchange.progress import Progress
from convostore.exchange.streams import Stream
from convostore.exchange.texts import found_in_text
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Found, Opaque, Refused
from convostore.formats.pointers import file_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from convostore.exchange.limits import Limits
    from convostore.exchange.members import Member

_DATABASES: Final = (".db", ".sqlite", ".sqlite3")
_RECORDS: Final = (".json", ".jsonl", ".ndjson", ".yaml", ".yml", *_DATABASES)
_ARCHIVES: Final = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".xz", ".bz2", ".zst")
_MANIFEST: Final = "export_manifest.json"
_NAMES: Final = "conversation_asset_file_names.json"
_LOGICAL: Final = "conversations.json"  # what a manifest calls the conversations
_KEPT_BYTES: Final = MIB  # what stands beside the conversations is kept up to this size
_BESIDE: Final = "a file of the export that holds no conversation"


def found_in_members(
    members: Sequence[Member], limits: Limits, format: str | None, progress: Progress
) -> Iterator[Found]:
    """Yield what is found in the files of an export, those that its manifest names first.

    Args:
        members: the files.
        limits: how much.
        format: whose every conversation has to be; None for any.
        progress: counts the bytes of the files that may hold conversations.

    Raises:
        NothingKnownError: none of them holds a conversation; nothing was yielded then.
    """
    along = Along(members, _object_in(members, _NAMES, limits))
    named, held = _named_by_manifest(members, limits)
    others = [one for one in members if _may_hold_records(one) and one not in named]
    names = _names([*named, *others])
    progress.total = sum(member.size for member in names)
    any_known = False
    for member in [*named, *others]:
        for found in _of_member(member, names[member], limits, format, progress):
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


def _may_hold_records(member: Member) -> bool:
    """Tell whether a file is one of records, by its ending; what was uploaded is none."""
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


def _of_member(
    member: Member, name: str, limits: Limits, format: str | None, progress: Progress
) -> Iterator[Found]:
    """Yield what is found in one file; that it cannot be read is found, too."""
    try:
        if member.path is not None and member.base.lower().endswith(_DATABASES):
            founds = found_in_database(member.path, limits, None, Progress())
            yield from _placed(member, founds, format)
            progress.done += member.size
            return
        with member.open() as file:
            stream = Stream(progress.counting(file))
            yield from _placed(member, found_in_text(stream, name, limits, None), format)
    except NothingKnownError as error:
        if error.spoiled is None:
            yield _beside(member)
        else:
            yield Refused(where=member.name, reason=error.spoiled)
    except FormatError as error:
        yield Refused(where=member.name, reason=error.reason)
    except OSError as error:
        yield Refused(where=member.name, reason=error.strerror or str(error))


def _placed(member: Member, founds: Iterable[Found], format: str | None) -> Iterator[Found]:
    """Yield what is found, with the file before its place; nothing of another format than asked."""
    for found in founds:
        if isinstance(found, ForeignConversation):
            asked = format in {None, found.source}
            reason = f"conversation {found.source_id} is of {found.source}, not of {format}"
            yield found if asked else Refused(where=member.name, reason=reason)
        else:
            yield msgspec.structs.replace(found, where=f"{member.name}: {found.where}")


def _beside(member: Member) -> Found:
    try:
        with member.open() as file:
            raw = file.read(_KEPT_BYTES + 1)
    except OSError as error:
        return Refused(where=member.name, reason=error.strerror or str(error))
    if len(raw) > _KEPT_BYTES:
        return Opaque(where=member.name, what=f"{_BESIDE}, and too long to keep", raw=b"")
    return Opaque(where=member.name, what=_BESIDE, raw=raw)
