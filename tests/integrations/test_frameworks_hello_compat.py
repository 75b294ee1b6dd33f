"""The hello-world of each framework's documentation: killed (SIGKILL) and gone on with by another process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines import rows
from tests.integrations.frameworks.places import HERE, ROOT, python_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines import Where

pytestmark = [pytest.mark.compat, pytest.mark.timeout(900)]


def hello(framework: str, phase: str, where: Where, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a framework's program in its environment."""
    program = HERE / "hello" / f"hello_{framework.replace('-', '_')}.py"
    return subprocess.run(
        [
            str(python_of(framework)),
            "-W",
            "error::ResourceWarning",
            str(program),
            phase,
            str(where),
        ],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def killed_and_again(framework: str, where: Where, home: Path) -> Any:
    """Run it until it kills itself, then once more; return what it tells."""
    first = hello(framework, "first", where, home)
    assert first.returncode == -signal.SIGKILL, first.stderr
    again = hello(framework, "again", where, home)
    assert again.returncode == 0, again.stderr
    return json.loads(again.stdout)


def test_openai_agents_go_on_after_a_kill(path: Where, tmp_path: Path) -> None:
    """The model is told all that was said, the question it was killed at included."""
    assert killed_and_again("openai-agents", path, tmp_path) == [
        "What city is the Golden Gate Bridge in?",
        "San Francisco",
        "What state is it in?",
        "What's the population?",
    ]


def test_pydantic_ai_goes_on_after_a_kill(path: Where, tmp_path: Path) -> None:
    """With the keeper the question was on disk before the model was asked."""
    told = killed_and_again("pydantic-ai", path, tmp_path)
    assert told[:4] == ["Tell me a joke.", "Tell me a joke.", "Explain?", "Another one."]
    assert told[4] == " | ".join(told[:4])


def test_keeper_leaves_what_was_said_however_a_run_of_pydantic_ai_goes(
    path: Where, tmp_path: Path
) -> None:
    """With tools, streamed, and failing; a chat of another origin is gone on with."""
    program = str(HERE / "hello" / "trial_pydantic_ai.py")
    done = subprocess.run(
        [str(python_of("pydantic-ai")), program, str(path)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_langchain_goes_on_after_a_kill(path: Where, tmp_path: Path) -> None:
    """LangChain stores a turn when it has ended: of the one killed there is nothing, all else is."""
    told = killed_and_again("langchain", path, tmp_path)
    assert told[:3] == ["Hi, I am Bob.", "Hi, I am Bob.", "Who am I?"]
    assert told[3] == " | ".join(told[:3])


def test_any_provider_of_g4f_has_a_memory_that_survives_a_kill(path: Where, tmp_path: Path) -> None:
    """The question, and what of the answer was shown, are there; the next turn is told both."""
    found = killed_and_again("g4f", path, tmp_path)
    assert found["models"] == ["loop-1", "loop-2"]
    assert [tuple(one[:2]) for one in found["told"]] == [
        ("user", "completed"),
        ("assistant", "completed"),
        ("user", "completed"),
        ("assistant", "interrupted"),
        ("user", "completed"),
        ("assistant", "completed"),
    ]
    assert found["told"][3][2].startswith("loop-1: of this much is on disk")
    assert found["told"][5][2] == "loop-1: 5 messages"


_PAGE = (ROOT / "docs" / "frameworks.md").read_text("utf-8")
_PROGRAMS = re.findall(r"```python ([a-z-]+)\n(.*?)```", _PAGE, re.DOTALL)


@pytest.mark.parametrize(("framework", "program"), _PROGRAMS)
def test_programs_of_the_page_run(
    framework: str, program: str, path: Where, tmp_path: Path
) -> None:
    """Each as it stands, in its framework's environment, on a file and on a server."""
    if isinstance(path, str):
        program, files = re.subn(r'"\w+\.db"', repr(path), program)
        assert files == 1
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [str(python_of(framework)), "program.py"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    (kept,) = [path] if isinstance(path, str) else tmp_path.glob("*.db")
    assert rows(kept, "SELECT id FROM message")
