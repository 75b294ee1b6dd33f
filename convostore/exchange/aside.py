"""Reading a long file in a process of its own, on another core than the one that stores it.

Python runs one thread at a time: read in a thread, a file would take as long as reading and
storing together, and whoever else uses the event loop would wait. The child reads and makes fit, and
says what is to be stored, as frames of MessagePack with their length before them. It works as far
ahead as the pipe takes. Where it cannot go on, for something came along that has to be opened here,
or because it died, this process reads on from the same record.
"""

from __future__ import annotations

import gc
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from convostore.errors import FormatError
from convostore.exchange.batches import Batch, Batches, Ready
from convostore.exchange.fitting import Wish
from convostore.exchange.limits import Limits
from convostore.exchange.outcomes import ImportResult
from convostore.formats.own import OwnConversation
from convostore.storage.newcomers import ImportConversation

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

LONG_BYTES: Final = 8 * 1024 * 1024  # from here on it is read aside: a second or two of work
_LENGTH: Final = 8  # bytes before a frame that say its length
_OBJECTS: Final = 200_000  # between two looks for circles: records are trees, and freed as they go
_PROGRAM: Final = "from convostore.exchange.aside import main; main()"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be read, and how: see `Store.import_`."""

    path: bytes
    format: str | None
    limits: Limits
    wish: Wish
    most_bytes: int
    now_ms: int

    def batches(self, *, skip: int = 0, alone: bool = False) -> Batches:
        """Return what reads it in this process, without the first *skip* records."""
        from convostore.exchange.reading import open_export

        path = os.fsdecode(self.path)
        return Batches(
            lambda: open_export(path, format=self.format, limits=self.limits),
            self.wish,
            most_bytes=self.most_bytes,
            now_ms=self.now_ms,
            skip=skip,
            alone=alone,
        )


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A record: a conversation to be stored with its remarks, or what became of it already."""

    job: ImportConversation | None = None
    remarks: tuple[str, ...] = ()
    result: ImportResult | None = None


class _Failure(msgspec.Struct, frozen=True):
    """Why the file cannot be read on."""

    message: str
    format: str
    record: int | None
    reason: str
    hint: str


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    """What the child says at once; without entries and failure it is the end.

    Attributes:
        part_read: of the file.
        is_all: False where this process has to read on.
    """

    entries: list[_Entry] = []
    part_read: float | None = None
    failure: _Failure | None = None
    is_all: bool = True


_frames = msgspec.msgpack.Decoder(_Frame)
_encode = msgspec.msgpack.Encoder().encode


class Aside:
    """Reads in a process of its own, as `Batches` does here. Blocks; for one thread at a time."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._child: subprocess.Popen[bytes] | None = None
        self._here: Batches | None = None
        self._stopped = False
        self._records = 0
        self._part_read: float | None = None

    @property
    def part_read(self) -> float | None:
        """How much of the file was read, from 0 to 1; None where nobody knows."""
        return self._part_read if self._here is None else self._here.part_read

    def next(self) -> Batch:
        """Read what is stored together next; empty at the end.

        Raises:
            FormatError: the file is of no known format, or cannot be read on.
        """
        if self._here is None:
            frame = self._frame()
            if frame is not None and frame.failure is not None:
                raise _error(frame.failure)
            if frame is not None and (frame.entries or frame.is_all):
                self._records += len(frame.entries)
                self._part_read = frame.part_read
                return [_opened(entry) for entry in frame.entries]
            self._end()
            if self._stopped:
                return []
            self._here = self._task.batches(skip=self._records)
        return self._here.next()

    def stop(self) -> None:
        """End what is just being read; from any thread."""
        self._stopped = True
        if (child := self._child) is not None:
            child.kill()

    def close(self) -> None:
        """End the child, and close what was opened here."""
        self._end()
        if self._here is not None:
            self._here.close()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        child.wait()

    def _frame(self) -> _Frame | None:
        """Return what the child says next; None where it says nothing any more."""
        try:
            if self._child is None:
                self._child = _started(self._task)
            assert self._child.stdout is not None  # noqa: S101 - it is a pipe
            said = _read(self._child.stdout)
            return None if said is None else _frames.decode(said)
        except (OSError, msgspec.MsgspecError):
            return None


def is_long(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is so long that reading it aside is worth a process, and can be done."""
    if getattr(sys, "frozen", False) or not sys.executable or (os.cpu_count() or 1) < 2:  # noqa: PLR2004 - two cores
        return False
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size >= LONG_BYTES


def _started(task: Task) -> subprocess.Popen[bytes]:
    """Start the child, which reads with the very modules of this process, and tell it its task."""
    path = os.pathsep.join(one for one in sys.path if one)
    child = subprocess.Popen(  # noqa: S603 - this very Python, and a program that stands above
        [sys.executable, "-P", "-c", _PROGRAM],  # -P: no module out of the current folder
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for this process, which then ends it
    )
    with suppress(BrokenPipeError):
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        child.stdin.write(_encode(task))
        child.stdin.close()
    return child


def _read(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = int.from_bytes(head, "big")
    said = pipe.read(length)
    return said if len(said) == length else None


def _opened(entry: _Entry) -> Ready | ImportResult:
    if entry.job is not None:
        return Ready(entry.job, entry.remarks, {})
    assert entry.result is not None  # noqa: S101 - an entry is one or the other
    return entry.result


def _error(failure: _Failure) -> FormatError:
    return FormatError(
        failure.message,
        format=failure.format,
        record=failure.record,
        reason=failure.reason,
        hint=failure.hint,
    )


def main() -> None:
    """Do the task that stands on stdin; this is what the child runs."""
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Task)
    gc.freeze()
    gc.set_threshold(_OBJECTS)
    batches = task.batches(alone=True)
    say = _sayer(sys.stdout.buffer)
    try:
        while batch := batches.next():
            say(_Frame([_entry(one) for one in batch], batches.part_read))
    except FormatError as error:
        say(
            _Frame(
                failure=_Failure(
                    error.message, error.format, error.record, error.reason, error.hint
                )
            )
        )
    else:
        say(_Frame(is_all=not batches.met_more))


def _entry(one: Ready | OwnConversation | ImportResult) -> _Entry:
    assert not isinstance(one, OwnConversation)  # noqa: S101 - they are read where they are stored
    return _Entry(one.job, one.remarks) if isinstance(one, Ready) else _Entry(result=one)


def _sayer(out: IO[bytes]) -> Callable[[_Frame], None]:
    def say(frame: _Frame) -> None:
        said = _encode(frame)
        try:
            out.write(len(said).to_bytes(_LENGTH, "big") + said)
            out.flush()
        except BrokenPipeError:
            os._exit(0)  # nobody listens any more

    return say
