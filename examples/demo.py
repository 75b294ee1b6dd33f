"""Chat with a real model on this machine in one process, and go on in another.

    make demo        or: python examples/demo.py [--picture FILE.svg]

Every command that is shown is really run, each in a process of its own, on a new store in
`.demo/`. The model is fetched first, unless it is there already.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from showing import Show  # type: ignore[import-not-found] # beside this file

from convostore.errors import ConvostoreError
from convostore.providers.local_model import fetch_model

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(".demo")
STORE = FOLDER / "chats.db"
EXPORT = FOLDER / "chat.jsonl"
QUESTIONS = (
    "What is the capital of Japan?",
    "Which language do people speak there?",
)
QUIET_MODEL = ("-o", "temperature=0", "-o", "max_tokens=48")
SHOW = Show(STORE)
say, run = SHOW.say, SHOW.run


def main() -> int:
    """Run the demonstration; 0 when it proved what it says."""
    say("Fetching a small model (98 MB, once) ...")
    say(f"The model is {fetch_model().name}; it runs on this machine.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()

    say("\nOne process asks. The question is on disk before the model is asked.")
    run("chat", QUESTIONS[0], "-p", "local", *QUIET_MODEL)
    handle = json.loads(run("list", "--json", shown=False))[0]["handle"]

    say("\nThat process is gone. Another one goes on, by the conversation's handle.")
    run("chat", QUESTIONS[1], "--resume", handle, *QUIET_MODEL)

    say("\nWhat is kept:")
    run("list")
    run("show", handle)
    return prove(handle)


def prove(handle: str) -> int:
    """Show from the record that the second request carried the first turn; 0 when it did."""
    first, second = (usage(line) for line in exported(handle) if line["type"] == "usage")
    before = first["input_tokens"] + first["output_tokens"]
    proved: bool = second["input_tokens"] > before
    say("\nThe proof, from the record:")
    say(f"  first request {first['input_tokens']} tokens, its answer {first['output_tokens']};")
    say(f"  second request {second['input_tokens']}" + (", so it carried the first turn." * proved))
    return 0 if proved else 1


def exported(handle: str) -> Iterator[dict[str, Any]]:
    """Export the conversation, and yield what stands on each line."""
    run("export", handle, "--format", "jsonl", "-o", str(EXPORT))
    for line in EXPORT.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def usage(line: dict[str, Any]) -> dict[str, int]:
    """Return the token counts in a usage line."""
    counts: dict[str, int] = line["usage"]
    return counts


if __name__ == "__main__":
    try:
        CODE = main()
    except ConvostoreError as error:
        raise SystemExit(f"error: {error}\nhint: {error.hint}") from None
    if "--picture" in sys.argv[1:-1]:
        SHOW.save(sys.argv[sys.argv.index("--picture") + 1], "make demo")
    raise SystemExit(CODE)
