"""The registry of systems: what is measured, by which adapter, in which environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks.environments import OWN

Kind: TypeAlias = Literal["ours", "by hand", "peer"]

OURS = "convostore"
LIMIT = "sqlite3 by hand: limit"
SAME = "sqlite3 by hand: same"
STREAM = "stream by hand"
UNJOURNALED = "convostore, no journal"
ON_A_SERVER = "convostore on PostgreSQL"
BY_ASYNCPG = "asyncpg by hand: same"
FILES = ("disk", "memory")
SERVERS = ("server",)


@dataclass(frozen=True, slots=True)
class System:
    """One system.

    Attributes:
        name: as the results call it.
        adapter: module and class, as the worker loads it.
        kind: whose it is.
        environment: whose interpreter runs it.
        note: what a reader of the results has to know about it.
        places: where it can keep chats.
    """

    name: str
    adapter: str
    kind: Kind
    environment: str = OWN
    note: str = ""
    places: tuple[str, ...] = FILES

    @property
    def file_name(self) -> str:
        """The name as a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


def _peer(name: str, environment: str, kind: str, note: str = "") -> System:
    module = f"benchmarks.peers.{environment}:{kind}"
    return System(name, module, "peer", environment=environment, note=note)


SYSTEMS = (
    System(
        OURS,
        "benchmarks.ours.chats:Convostore",
        "ours",
        note="through its public interface: Store and Conversation",
    ),
    System(
        UNJOURNALED,
        "benchmarks.ours.unjournaled:Unjournaled",
        "ours",
        note="with its flushes taken out: what the journal costs is the difference",
    ),
    System(
        LIMIT,
        "benchmarks.byhand.limit:Limit",
        "by hand",
        note="the lightest schema that keeps chats: integer keys, no hashes, a larger cache",
    ),
    System(
        SAME,
        "benchmarks.byhand.same:Same",
        "by hand",
        note="convostore's tables, indexes, statements, commits, ids and hashes in a plain loop",
    ),
    System(
        STREAM,
        "benchmarks.byhand.stream:Stream",
        "by hand",
        note="reads, splits, parses and joins a streamed reply, and keeps nothing",
    ),
    System(
        ON_A_SERVER,
        "benchmarks.ours.on_a_server:OnAServer",
        "ours",
        note="the same public interface, its URL names a database",
        places=SERVERS,
    ),
    System(
        BY_ASYNCPG,
        "benchmarks.byhand.same_postgres:SamePostgres",
        "by hand",
        note="convostore's statements, commits, ids and hashes in a plain loop; many rows by unnest",
        places=SERVERS,
    ),
    _peer("openai-agents SQLiteSession", "openai_agents", "Threaded"),
    _peer("openai-agents AsyncSQLiteSession", "openai_agents", "Async"),
    _peer("openai-agents SQLAlchemySession", "openai_agents", "Alchemy"),
    _peer(
        "llm",
        "llm_logs",
        "LogDatabase",
        note="Response.log_to_db; synchronous, keeps a search index as it writes",
    ),
    _peer(
        "LangGraph AsyncSqliteSaver",
        "langgraph_saver",
        "Saver",
        note="one aput a turn, which writes all messages of the conversation again",
    ),
    _peer("agno SqliteDb", "agno_db", "Plain", note="a turn is upsert_session, then upsert_run"),
    _peer("agno AsyncSqliteDb", "agno_db", "Async", note="as above, on aiosqlite"),
    _peer(
        "langchain-community SQLChatMessageHistory",
        "langchain_history",
        "History",
        note="synchronous; both messages in one add_messages",
    ),
    _peer(
        "google-adk SqliteSessionService",
        "google_adk",
        "Service",
        note="two append_event a turn, each with a connection and a commit of its own",
    ),
    _peer(
        "pydantic-ai, a JSON blob a conversation",
        "pydantic_ai_blobs",
        "Blobs",
        note="it has no store: its messages as one blob in sqlite3, written again each turn",
    ),
)


def ours_at(workload: str) -> str:
    """Return the name of convostore where a workload, by its id, is on files or on a server."""
    return ON_A_SERVER if workload.endswith("-server") else OURS


def same_at(workload: str) -> str:
    """Return the name of the same by hand, likewise."""
    return BY_ASYNCPG if workload.endswith("-server") else SAME


def named(name: str) -> System:
    """Return the system of that name.

    Raises:
        KeyError: there is none.
    """
    for system in SYSTEMS:
        if system.name == name:
            return system
    raise KeyError(name)
