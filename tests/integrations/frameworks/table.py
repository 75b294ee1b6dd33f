"""The table of what the frameworks' tests say, in docs/frameworks.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.integrations.frameworks.places import ROOT

if TYPE_CHECKING:
    from tests.integrations.frameworks.running import Outcome
    from tests.integrations.frameworks.suites import Suite

PAGE: Final = ROOT / "docs" / "frameworks.md"
BEGIN: Final = "<!-- made by `make test-compat`: not to be edited -->"
END: Final = "<!-- end -->"
_HEAD: Final = (
    "| framework | its tests of | where from | on | pass | fail | why they fail |\n"
    "|---|---|---|---|---|---|---|\n"
)


def write(rows: list[tuple[Suite, str, Outcome | None]]) -> None:
    """Put the rows in the place of those that are there; one that was not run stays as it was.

    Args:
        rows: each a suite, the engine, and what came of it.
    """
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    old, _, after = rest.partition(END)
    table = _HEAD + "".join(_row(*row, old=old) for row in rows)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", "utf-8")


def _row(suite: Suite, engine: str, outcome: Outcome | None, old: str) -> str:
    where = suite.release or f"a checkout of v{suite.version}: no release has them"
    head = f"| {suite.framework} {suite.version} | {suite.what} | {where} | {engine} | "
    if outcome is None:
        missing = f"{head}- | - | not run: `{suite.checkout}` names no checkout |"
        row = next((one for one in old.splitlines() if one.startswith(head)), missing)
    else:
        failed = sum(outcome.failed.values())
        row = f"{head}{outcome.passed} | {failed} | {_why(outcome)} |"
    return f"{row}\n"


def _why(outcome: Outcome) -> str:
    why = [f"{number} {reason}" for reason, number in sorted(outcome.failed.items())]
    if outcome.built is not None:
        why.append(f"{outcome.built - len(outcome.lost)} of {outcome.built} messages survive")
    if outcome.refused:
        why.append("what it cannot write or read itself is left out")
    return "; ".join(why)
