"""Copying the main table into the README, between two comments, so that no figure is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.tables import main_table

if TYPE_CHECKING:
    from benchmarks.recording import Recording

BEGIN = "<!-- benchmarks: made by `make bench`, not by hand -->"
END = "<!-- /benchmarks -->"


def with_table(readme: str, run: Recording) -> str:
    """Return the README with the recording's table between the marks.

    Raises:
        ValueError: the marks are missing, or there is more than one pair.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"the README needs one pair of marks: {BEGIN} ... {END}")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{main_table(run)}\n\n{_where(run)}\n\n{END}{after}"


def _where(run: Recording) -> str:
    machine, data = run.data["machine"], run.data
    return (
        f"Medians of a {data['kind']} run on {data['began'][:10]}: {machine['cores']} cores, "
        f"Linux {machine['kernel'].partition('-')[0]}, Python {machine['python']}, "
        f"SQLite {machine['sqlite']}; threads waited {run.busy():.0%} of the time for a CPU."
    )
