"""Frameworks' own tests, of their releases, against our adapters; the table in the docs is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integrations.frameworks import running, table
from tests.integrations.frameworks.suites import SUITES
from tests.postgres_server import any_server

if TYPE_CHECKING:
    from tests.integrations.frameworks.running import Outcome
    from tests.integrations.frameworks.suites import Suite

pytestmark = [pytest.mark.compat, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[Suite, str, Outcome | None]]:
    """Run every suite on both engines, and write the table."""
    rows: list[tuple[Suite, str, Outcome | None]] = []
    with any_server() as server:
        for suite in SUITES:
            rows.append((suite, "SQLite", running.run(suite, None)))
            name = server.make()
            rows.append((suite, "PostgreSQL", running.run(suite, server.of(name))))
            server.drop(name)
    table.write(rows)
    return rows


def test_every_failure_of_a_framework_s_tests_has_a_known_reason(
    outcomes: list[tuple[Suite, str, Outcome | None]],
) -> None:
    """And a suite passes more tests than it fails: else it was not ours that ran."""
    for suite, engine, outcome in outcomes:
        if outcome is not None:
            assert outcome.unexplained == (), (suite.what, engine)
            assert outcome.passed > sum(outcome.failed.values()), (suite.what, engine)


def test_every_message_that_a_framework_s_tests_build_survives(
    outcomes: list[tuple[Suite, str, Outcome | None]],
) -> None:
    """Stored and read again it is what the framework itself makes of its JSON."""
    for suite, engine, outcome in outcomes:
        if outcome is not None and outcome.built is not None:
            assert outcome.built > 0, (suite.what, engine)
            assert outcome.lost == (), (suite.what, engine)
