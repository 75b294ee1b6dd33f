"""Copying tables into the README and the docs, between two comments, so that no figure is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.tables import goals_table, main_table, server_table

if TYPE_CHECKING:
    from benchmarks.recording import Recording

BEGIN = "<!-- benchmarks: made by `make bench`, not by hand -->"
END = "<!-- /benchmarks -->"


def with_table(readme: str, run: Recording) -> str:
    """Return the README with the recording's table between the marks.

    Raises:
        ValueError: the marks are missing, or there is more than one pair.
    """
    return _between_marks(readme, f"{main_table(run)}\n\n{_where(run)}")


def with_server_table(page: str, run: Recording) -> str:
    """Return the page on scale with the figures of a server between the marks.

    Raises:
        ValueError: the marks are missing, or there is more than one pair.
    """
    server = run.data["machine"]["postgres"]
    where = f"PostgreSQL {server} on the same machine. {_where(run)}"
    return _between_marks(page, f"{server_table(run)}\n\n{where}")


def with_goals(page: str, run: Recording) -> str:
    """Return the page on performance with all goals, and what was measured, between the marks.

    Raises:
        ValueError: the marks are missing, or there is more than one pair.
    """
    return _between_marks(page, f"{goals_table(run)}\n\n{_where(run)}")


def _between_marks(text: str, part: str) -> str:
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the text needs one pair of marks: {BEGIN} ... {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def _where(run: Recording) -> str:
    machine, data = run.data["machine"], run.data
    return (
        f"Medians of a {data['kind']} run on {data['began'][:10]}: {machine['cores']} cores, "
        f"Linux {machine['kernel'].partition('-')[0]}, Python {machine['python']}, "
        f"SQLite {machine['sqlite']}; threads waited {run.busy():.0%} of the time for a CPU."
    )
