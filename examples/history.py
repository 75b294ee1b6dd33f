"""Live in a history: ask, ask again, branch, order, find, count and delete, each as typed.

    python examples/history.py [--picture FILE.svg]

Every command that is shown is really run, each in a process of its own, on a new store in
`.demo/`. The answers are the echo provider's, so it needs no model and no network.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from showing import Show  # type: ignore[import-not-found] # beside this file

FOLDER = Path(".demo")
SHOW = Show(FOLDER / "history.db", width=100, terminal=True)
say, run = SHOW.say, SHOW.run


def main() -> None:
    """Run the demonstration."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    handle = talked()
    branched(handle)
    ordered(handle)
    found()
    attached()
    counted()
    passed()
    deleted(handle)
    completed()


def talked() -> str:
    """Fill the store, and return the handle of the conversation to live in."""
    say("Three conversations; in one another answer and another question: nothing is overwritten.")
    for text in ("Feeding sourdough", "A name for a grey cat", "Plan three days in Kyoto"):
        run("chat", text, "-p", "echo")
    return str(json.loads(run("list", "--json", shown=False))[0]["handle"])


def branched(handle: str) -> None:
    """Regenerate, edit, switch, fork."""
    run("regenerate", handle)
    run("edit", handle, "1", "Plan two days in Kyoto, by rail pass")
    run("tree", handle)
    run("switch", handle, "2")
    run("fork", handle)


def ordered(handle: str) -> None:
    """Title, tag, pin, move, archive, list."""
    say("\nOrder, and a list that is filtered.")
    run("title", handle, "Kyoto in autumn")
    run("tag", "travel", handle)
    run("move", handle, "--to", "Japan")
    run("pin", handle)
    run("metadata", handle, "ticket=42")
    run("archive", "@4")
    run("list")
    run("unarchive", "@4")
    run("tag", "later", "@2", "@3")
    run("untag", "later", "--tag", "later", "--yes")
    run("unpin", handle)
    run("list", "--tag", "travel", "--since", "7d")


def found() -> None:
    """Search."""
    say("\nEverything that was said is found, in every branch.")
    run("search", "rail pass", "--all-branches")
    run("search", "role:title kyoto")
    run("db", "reindex")


def attached() -> None:
    """Send a file along, list what is attached, get it out."""
    say("\nFiles go along with a question, are kept once, and come out again.")
    plan = FOLDER / "plan.txt"
    plan.write_text("Day 1: the east. Day 2: the west.\n")
    run("chat", "Read my plan", "-p", "echo", "--attach", str(plan))
    run("attachment", "@")
    run("attachment", "@", "plan.txt", "-o", str(FOLDER / "copy.txt"))


def counted() -> None:
    """Count what it cost."""
    say("\nWhat the model calls cost, as reported.")
    run("stats", "--by", "model")


def passed() -> None:
    """Ask what is to be kept nowhere, and look for it."""
    say("\nWhat is asked in passing is in no file.")
    run("chat", "How do I word a resignation?", "-p", "echo", "--ephemeral")
    run("search", "resignation")


def deleted(handle: str) -> None:
    """Delete and bring back; let go by a rule; then for good."""
    say("\nThe bin, and back; and what may go by itself, by a rule that is tried first.")
    run("delete", handle)
    run("list", "--bin")
    run("restore", handle)
    run("expire", "30d", handle)
    run("retention", "--delete-after", "90d", "--keep-tag", "travel", "--dry-run")
    say("\nFor good: one message, a branch, what is in the bin, everything of a person.")
    run("forget", handle, "2", "--yes")
    run("delete-branch", handle, "3", "--yes")
    run("delete", "@")
    run("purge", "--all", "--yes")
    run("db", "scrub")
    run("chat", "A question of another person", "-p", "echo", "--owner", "alice")
    run("owner", "list")
    run("owner", "export", "alice", "-o", str(FOLDER / "alice.jsonl"))
    run("owner", "erase", "alice", "--yes")
    run("tree", handle)


def completed() -> None:
    """Print what lets a shell complete."""
    say("\nAnd the shell completes commands, options and handles, with their titles.")
    run("completion", "fish")


if __name__ == "__main__":
    main()
    if "--picture" in sys.argv[1:-1]:
        SHOW.save(sys.argv[sys.argv.index("--picture") + 1], "examples/history.py")
