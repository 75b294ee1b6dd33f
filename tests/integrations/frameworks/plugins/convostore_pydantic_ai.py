"""For the tests of pydantic-ai: each request and response that they build is kept, and read again."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from convostore_messages import Collected, after_each
from pydantic_ai import messages as theirs

from convostore.integrations.pydantic_ai import MessageHistory

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from convostore.store import Store

_adapter = theirs.ModelMessagesTypeAdapter


def _again(message: Any) -> Any:
    return _adapter.validate_json(_adapter.dump_json([message]))[0]


_collected = Collected(lambda message: _adapter.dump_python([message], mode="json"), _again)
pytest_runtest_teardown = after_each(_collected)


def _watch(kind: type[Any]) -> None:
    made: Callable[..., None] = kind.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - takes its place
        made(self, *args, **kwargs)
        _collected.add(self)

    kind.__init__ = __init__


_watch(theirs.ModelRequest)
_watch(theirs.ModelResponse)


async def _keep(store: Store, messages: list[Any]) -> list[Any]:
    history = MessageHistory(str(uuid.uuid4()), store)
    await history.append(messages)
    return await history.load()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Store what was built."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", 0):
        _collected.report(_keep)
