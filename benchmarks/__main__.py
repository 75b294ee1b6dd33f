"""`python -m benchmarks`: run, write the results, and copy tables into the README and the docs."""

from __future__ import annotations

import argparse
import json
import secrets
from pathlib import Path

from benchmarks import environments
from benchmarks.chart import chart
from benchmarks.readme import with_goals, with_server_table, with_table
from benchmarks.recording import Recording
from benchmarks.running import Bench
from benchmarks.tables import FILES_MAIN, SERVER, goals_table, report
from benchmarks.workloads import FULL, QUICK

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
SCALE = README.parent / "docs" / "scale.md"
PERFORMANCE = README.parent / "docs" / "performance.md"


def main() -> None:
    """Do what was asked for."""
    asked = _arguments()
    if asked.peers:
        environments.make_all()
        return
    if not asked.report and not asked.readme:
        seed = asked.seed if asked.seed is not None else secrets.randbelow(10**6)
        print(f"seed {seed}", flush=True)
        with Bench(FULL if asked.full else QUICK, seed, asked.only) as bench:
            data = bench.run()
        if data["code_changed"]:
            raise SystemExit("the code changed during the run: nothing was recorded, run it again")
        asked.results.mkdir(parents=True, exist_ok=True)
        (asked.results / "latest.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    run = Recording.read(asked.results / "latest.json")
    (asked.results / "latest.md").write_text(report(run), "utf-8")
    (asked.results / "latest.svg").write_text(chart(run), "utf-8")
    if asked.readme:
        _copy(run)
    else:
        print(goals_table(run))


def _copy(run: Recording) -> None:
    """Copy the tables that a run has into README and docs; a run may be of some workloads only."""
    if any(map(run.systems, FILES_MAIN)):
        README.write_text(with_table(README.read_text("utf-8"), run), "utf-8")
        PERFORMANCE.write_text(with_goals(PERFORMANCE.read_text("utf-8"), run), "utf-8")
    if any(map(run.systems, SERVER)):
        SCALE.write_text(with_server_table(SCALE.read_text("utf-8"), run), "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more of everything; takes hours")
    parser.add_argument("--seed", type=int, help="of the random order; printed")
    parser.add_argument("--only", action="append", default=[], help="workloads that begin so")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where they are written")
    parser.add_argument("--peers", action="store_true", help="make the peers' environments")
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    parser.add_argument("--readme", action="store_true", help="copy tables into README and docs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
