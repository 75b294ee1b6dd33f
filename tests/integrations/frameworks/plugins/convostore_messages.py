"""For the tests of a framework: every message that they build is stored, and read again at the end."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import convostore

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

_AT_ONCE = 500


class Collected:
    """What the tests of one process built.

    Args:
        told: what a message's own framework writes of it.
        again: a message as its framework reads what it has written.

    Attributes:
        built: each different message, as JSON text.
        refused: why their own framework cannot write or read some.
    """

    def __init__(self, told: Callable[[Any], Any], again: Callable[[Any], Any]) -> None:
        self._told = told
        self._again = again
        self._living: list[Any] = []
        self.built: dict[str, Any] = {}
        self.refused: set[str] = set()
        self._settling = False

    def add(self, message: Any) -> None:
        """Remember a message of a test's; it may still be filled."""
        if not self._settling:
            self._living.append(message)

    def settle(self) -> None:
        """Write down what was built, at the end of a test."""
        living, self._living = self._living, []
        self._settling = True
        for message in living:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    text = json.dumps(self._told(self._again(message)), sort_keys=True)
            except Exception as error:  # noqa: BLE001 - whatever its own framework says
                self.refused.add(f"{type(error).__name__}: {error}"[:200])
            else:
                self.built.setdefault(text, message)
        self._settling = False

    def report(self, keep: Callable[[Any, list[Any]], Any]) -> None:
        """Store all of it, read it, and write down how much is what it was.

        Args:
            keep: stores messages in a store and returns what is read: a coroutine function.
        """
        messages = list(self.built.values())
        self._settling = True
        lost = asyncio.run(self._lost(messages, keep))
        worker = os.environ.get("PYTEST_XDIST_WORKER", "all")
        Path(f"{os.environ['CONVOSTORE_COMPAT_OUT']}.{worker}.json").write_text(
            json.dumps({"built": len(messages), "refused": sorted(self.refused), "lost": lost}),
            "utf-8",
        )

    async def _lost(self, messages: list[Any], keep: Callable[[Any, list[Any]], Any]) -> list[str]:
        url = os.environ.get("CONVOSTORE_COMPAT_URL")
        owner = os.environ.get("PYTEST_XDIST_WORKER", "all") if url else None
        where = url or Path(tempfile.mkdtemp()) / "chats.db"
        lost = []
        async with convostore.open(where, owner=owner) as store:
            for at in range(0, len(messages), _AT_ONCE):
                part = messages[at : at + _AT_ONCE]
                for message, found in zip(part, await keep(store, part), strict=True):
                    own = self._again(message)
                    if found != own or json.dumps(self._told(found)) != json.dumps(self._told(own)):
                        lost.append(repr(message)[:300])
        return lost


def after_each(collected: Collected) -> Any:
    """Return the hook that settles what a test built."""

    def pytest_runtest_teardown(item: pytest.Item) -> None:
        del item
        collected.settle()

    return pytest_runtest_teardown
