"""The help of every command is read on a terminal of 80 columns."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from convostore.cli.commands import NAMES
from convostore.cli.program import program

GROUPS = {
    "db": ["backup", "check", "restore", "scrub", "upgrade"],
    "owner": ["erase", "export", "list"],
}
LINES = [[], *([name] for name in sorted(NAMES))]
LINES += [[group, name] for group, names in GROUPS.items() for name in names]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_help_fits_and_nothing_in_it_is_cut(words: list[str]) -> None:
    """No line is wider than the terminal, no summary ends in dots, and examples are real commands."""
    told = CliRunner().invoke(program, [*words, "--help"], env={"COLUMNS": "80"}, terminal_width=80)
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    commands = lines[lines.index("Commands:") :] if "Commands:" in lines else []
    assert [line for line in commands if line.endswith("...")] == []
    examples = lines[lines.index("  Examples:") + 1 :] if "  Examples:" in lines else []
    for line in examples:
        assert line.partition("convostore ")[2].split()[0].rstrip(')"') in NAMES
