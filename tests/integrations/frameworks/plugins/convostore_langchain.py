"""For the tests of LangChain: its histories are ours, and each message that they build is kept."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import uuid
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from convostore_messages import Collected, after_each
from langchain_core import chat_history
from langchain_core import messages as theirs

from convostore.formats.langchain_messages import message_of, messages_as_stored
from convostore.integrations.langchain import ConvostoreChatMessageHistory, Histories
from convostore.integrations.line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import BaseMessage

    from convostore.store import Store

URL = os.environ.get("CONVOSTORE_COMPAT_URL")  # a server's database; else files
_opened: dict[str, Histories] = {}
_made = 0


def _histories(path: str) -> Histories:
    if path not in _opened:
        owner = hashlib.sha256(path.encode()).hexdigest()[:20] if URL else None
        _opened[path] = Histories(URL or path, owner=owner)
    return _opened[path]


class _History(ConvostoreChatMessageHistory):
    def __init__(self, session_id: str, path: str) -> None:
        global _made  # noqa: PLW0603 - each test is told apart by it
        _made += 1
        super().__init__(session_id, _histories(path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _History) and self.messages == other.messages

    __hash__ = None  # type: ignore[assignment] # as theirs


class InMemory(_History):
    """Made as their history in memory is."""

    def __init__(self, messages: Sequence[BaseMessage] = ()) -> None:
        folder = Path(tempfile.gettempdir()) / "convostore-compat.db"
        super().__init__(str(uuid.uuid4()), str(folder))
        if messages:
            self.add_messages(messages)


class Sql(_History):
    """Made as the history in an SQL database is, which another package of theirs has."""

    def __init__(self, session_id: str, connection: str, **more: Any) -> None:
        if "custom_message_converter" in more:
            raise ValueError("messages are kept as conversations have them")
        super().__init__(session_id, connection.partition("///")[2])


def _module(name: str, **names: Any) -> None:
    sys.modules[name] = module = ModuleType(name)
    vars(module).update(names, __path__=["nowhere"])


class Converter:
    """What their test derives from, to be refused."""

    def __init__(self, table_name: str) -> None:
        del table_name


_module("langchain_community")
_module("langchain_community.chat_message_histories", SQLChatMessageHistory=Sql)
_module("langchain_community.chat_message_histories.sql", DefaultMessageConverter=Converter)
# Found by the tests in the place of theirs.
chat_history.InMemoryChatMessageHistory = InMemory  # type: ignore[misc, assignment] # see above


@pytest.fixture(autouse=True)
def _told_whether_a_history_is_made(record_property: Any) -> Iterator[None]:
    before = _made
    yield
    record_property("counts", "yes" if _made > before else "no")


def _again(message: Any) -> Any:
    return theirs.messages_from_dict([theirs.message_to_dict(message)])[0]


_collected = Collected(theirs.message_to_dict, _again)
pytest_runtest_teardown = after_each(_collected)
_init = theirs.BaseMessage.__init__


def _watched(self: Any, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    if type(self).__module__.startswith("langchain_core."):
        _collected.add(self)


theirs.BaseMessage.__init__ = _watched  # type: ignore[method-assign] # each kind calls it


async def _keep(store: Store, messages: list[Any]) -> list[Any]:
    line: Line[Any] = Line(store, str(uuid.uuid4()), message_of, messages_as_stored)
    await line.add([theirs.message_to_dict(one) for one in messages])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(theirs.messages_from_dict(await line.items()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Store what was built, and close the stores."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", 0):
        _collected.report(_keep)
    for one in _opened.values():
        one.close()
