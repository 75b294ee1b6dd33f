"""Leases: who writes a running reply, and whether that process is still alive.

A lease is one line of text in the reply's row: token, boot id, pid namespace, process id, the
process's start time, and when it was last renewed. On the same boot and in the same pid
namespace a dead writer is known at once; elsewhere by the lease's age.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    import asyncio

RENEW_AFTER_MS = 5_000  # how often a running turn renews its lease
DEAD_AFTER_MS = 30_000  # six missed renewals: a writer on another machine counts as dead

_NO_PLACE = "-"

# This process lives, but a turn of it may not: its event loop may have been closed under it, or its
# end may have been given up. By token; both are empty in a process that only reads.
_held: dict[str, asyncio.AbstractEventLoop] = {}
_abandoned: set[str] = set()


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return _NO_PLACE  # no /proc: only the age can tell


@lru_cache(maxsize=1)
def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return _NO_PLACE


def _start_time(pid: int) -> str:
    """Return when *pid* started, in clock ticks since boot; empty when there is no such process.

    Source: proc_pid_stat(5), field 22; field 2 may hold spaces, so count from its bracket. A
    zombie (field 3) has ended: it only waits for its parent.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


def new_lease(token: str, now_ms: int) -> str:
    """Make this process's lease under *token*, renewed at *now_ms*."""
    pid = os.getpid()
    return "|".join((token, _boot_id(), _pid_namespace(), str(pid), _own_start(pid), str(now_ms)))


@lru_cache(maxsize=2)  # a fork has another pid
def _own_start(pid: int) -> str:
    return _start_time(pid)


def hold(token: str, loop: asyncio.AbstractEventLoop) -> None:
    """Let the leases under *token* live as long as *loop* is not closed, or until they are let go."""
    _held[token] = loop


def let_go(token: str) -> None:
    """Forget a token whose reply has ended, or was never stored."""
    _held.pop(token, None)


def abandon(token: str) -> None:
    """Let the leases under *token* be dead from now on: nobody will end its reply any more."""
    _held.pop(token, None)
    _abandoned.add(token)


def _is_over(token: str) -> bool:
    """Tell whether a turn of this process is dead, though the process lives."""
    loop = _held.get(token)
    return token in _abandoned or (loop is not None and loop.is_closed())


def token_of(lease: str | None) -> str:
    """Return the token of a lease, which is all that is left of it once the reply is final."""
    return (lease or "").partition("|")[0]


def is_dead(lease: str | None, now_ms: int) -> bool:
    """Tell whether the writer of a running reply is gone."""
    fields = (lease or "").split("|")
    if len(fields) != 6:  # noqa: PLR2004 - the six fields of the module's docstring
        return True
    token, boot, namespace, pid, started, renewed_ms = fields
    if not (pid.isdecimal() and renewed_ms.isdecimal()):
        return True  # not written by us
    here = boot != _NO_PLACE and boot == _boot_id() and namespace == _pid_namespace()
    if here:
        mine = int(pid) == os.getpid()
        return _start_time(int(pid)) != started or (mine and _is_over(token))
    return abs(now_ms - int(renewed_ms)) > DEAD_AFTER_MS
