"""Which kind of file system holds a file, as the system tells it."""

from __future__ import annotations

MOUNTS = "/proc/self/mountinfo"  # named here, for tests to put another in its place

# File systems whose locks do not reach other machines or do not work at all.
# Source: SQLite, "Write-Ahead Logging", overview: WAL does not work over a network file system.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "fuse.sshfs", "fuse.rclone"}
)


def file_system(path: str) -> str:
    """Return the type of the file system that holds *path*; empty where it cannot be told.

    Source: proc_pid_mountinfo(5): mount point is field 5, the type follows the lone hyphen.

    Args:
        path: absolute, without links.
    """
    try:
        with open(MOUNTS, encoding="utf-8", errors="replace") as told:  # noqa: PTH123 - pathlib takes as long to load as sqlite3
            lines = told.read().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split()[4].replace("\\040", " ")
        if len(mount) >= len(best) and (path + "/").startswith(mount.rstrip("/") + "/"):
            best, kind = mount, right.split()[0]
    return kind
