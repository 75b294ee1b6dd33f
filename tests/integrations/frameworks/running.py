"""A framework's tests, run in its environment, and what came of them."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

from tests.integrations.frameworks.places import HERE, checkout, python_of, release

if TYPE_CHECKING:
    from tests.integrations.frameworks.suites import Suite

_UNEXPLAINED = "not explained"
_ANYWAY = "without ours, too"


class Outcome(NamedTuple):
    """What came of a suite.

    Attributes:
        passed: how many tests.
        failed: the reason of each that failed, and how many there are of it.
        unexplained: the names of those that no reason is known for, each with its last line.
        built: messages that the tests built; None where they are not looked at.
        lost: those that were not what they were when they were read.
        refused: those that their own framework cannot write or read either.
    """

    passed: int
    failed: Counter[str]
    unexplained: tuple[str, ...]
    built: int | None = None
    lost: tuple[str, ...] = ()
    refused: int = 0


def run(suite: Suite, url: str | None) -> Outcome | None:
    """Run a suite on files, or on a server's database; None where its tests are nowhere.

    Args:
        suite: which.
        url: of the database.
    """
    sources = release(suite.release) if suite.release else checkout(suite.checkout)
    if sources is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        said = _pytest(suite, sources, out, url=url)
        bare = Path(folder) / "bare"
        if not suite.only_ours and any(map(_told, _cases(out))):
            _pytest(suite, sources, bare, plugin=False)
        outcome = _outcome(suite, out, {_name(one) for one in _cases(bare) if _told(one)})
        if outcome.passed == 0 or (outcome.built is None and not suite.only_ours):
            raise RuntimeError(said[-3000:])
        return outcome


def _pytest(
    suite: Suite, sources: Path, out: Path, *, url: str | None = None, plugin: bool = True
) -> str:
    """Run the tests, with the plugin or as they are; their report is beside *out*."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(out.parent),
        "TMPDIR": str(out.parent),
        "OPENAI_API_KEY": "none",
        "PYTHONPATH": str(HERE / "plugins"),
        "CONVOSTORE_COMPAT_OUT": str(out),
        **({"CONVOSTORE_COMPAT_URL": url} if url else {}),
    }
    options = [
        *(("-p", suite.plugin) if plugin else ()),
        *("-n", str(suite.workers), "--timeout", "120", "-o", "addopts="),
        *("-p", "no:cacheprovider", f"--junitxml={out}.xml", "-o", "junit_family=xunit1"),
    ]
    done = subprocess.run(
        [str(python_of(suite.framework)), "-m", "pytest", "-q", *options, *suite.files],
        cwd=sources,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not Path(f"{out}.xml").exists():
        raise RuntimeError(done.stdout[-3000:])
    return done.stdout


def _cases(out: Path) -> list[ET.Element]:
    report = Path(f"{out}.xml")
    return list(ET.parse(report).iter("testcase")) if report.exists() else []


def _told(case: ET.Element) -> str | None:
    """Return what a test says of its failure; None where it has none."""
    told = [one.text or "" for kind in ("failure", "error") for one in case.iter(kind)]
    return told[0] if told else None


def _name(case: ET.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def _outcome(suite: Suite, out: Path, anyway: set[str]) -> Outcome:
    """Count; *anyway* are the names of the tests that fail without ours, too."""
    passed, failed, unexplained = 0, Counter[str](), list[str]()
    for case in _cases(out):
        if case.find("skipped") is not None or not _counts(suite, case):
            continue
        told = _told(case)
        if told is None:
            passed += 1
            continue
        reason = _ANYWAY if _name(case) in anyway else _reason(suite, told)
        failed[reason] += 1
        if reason == _UNEXPLAINED:
            unexplained.append(f"{_name(case)}: {told[-400:]}")
    outcome = Outcome(passed, failed, tuple(unexplained))
    reports = [json.loads(one.read_text("utf-8")) for one in out.parent.glob("out.*.json")]
    if suite.only_ours or not reports:
        return outcome
    return outcome._replace(
        built=sum(one["built"] for one in reports),
        lost=tuple(lost for one in reports for lost in one["lost"]),
        refused=len({why for one in reports for why in one["refused"]}),
    )


def _counts(suite: Suite, case: ET.Element) -> bool:
    """Tell whether a test made an object of ours: the other ones say nothing of it."""
    if not suite.only_ours:
        return True
    return any(one.get("name") == "counts" and one.get("value") == "yes" for one in case.iter())


def _reason(suite: Suite, told: str) -> str:
    last = "\n".join(told.splitlines()[-40:])
    return next((why for mark, why in suite.reasons if re.search(mark, last)), _UNEXPLAINED)
