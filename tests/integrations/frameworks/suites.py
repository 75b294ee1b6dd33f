"""Which tests of which framework are run against what of ours, and what their failures mean."""

from __future__ import annotations

from typing import Final, NamedTuple


class Suite(NamedTuple):
    """Some test files of a framework.

    Attributes:
        framework: its environment, and how the table names it.
        version: of the framework there.
        release: the release in whose sources the tests are; empty where none has them.
        checkout: the environment variable that names a folder with them then.
        what: is tried, as the table says it.
        plugin: puts ours in the place of theirs.
        files: within the sources.
        only_ours: of the tests those count that made an object of ours.
        reasons: what in a failure's text tells its reason, and the reason.
        workers: how many processes share the tests; where their order matters, none does.
    """

    framework: str
    version: str
    release: str
    what: str
    plugin: str
    files: tuple[str, ...]
    checkout: str = ""
    only_ours: bool = True
    reasons: tuple[tuple[str, str], ...] = ()
    workers: int = 0


_OF_AGENTS: Final = (  # the first that fits a failure's text
    (
        r"object has no attribute '|OperationalError",
        "looks into the SQLite class: its connections, locks, files and rows",
    ),
    (
        r"not JSON serializable",
        "expects the TypeError of the JSON module: ours is an error of the store's, with a hint",
    ),
    (r"SQLiteSession is closed", "closes the session: ours is closed with its store"),
    (
        r"InvalidToken|entered\.wait",
        "asks for a private method of the SDK's own sessions: an item is looked at, then popped",
    ),
    (
        r"compact",
        "asks for a private method of the SDK's own sessions: a part is compacted",
    ),
)
SUITES: Final = (
    Suite(
        framework="openai-agents",
        version="0.24.0",
        release="openai-agents==0.24.0",
        what="`Session`, in the place of `SQLiteSession`",
        plugin="convostore_agents",
        files=(
            "tests/memory/test_session.py",
            "tests/memory/test_session_limit.py",
            "tests/memory/test_session_persistence_sanitize.py",
            "tests/memory/test_session_context_wrapper.py",
            "tests/memory/test_openai_responses_compaction_session.py",
            "tests/memory/test_compaction_model_visibility.py",
            "tests/memory/test_compaction_suffix.py",
            "tests/extensions/memory/test_encrypt_session.py",
            "tests/test_agent_runner.py",
            "tests/test_agent_runner_streamed.py",
            "tests/test_max_turns.py",
            "tests/test_native_tool_failure_history.py",
            "tests/test_programmatic_tool_calling.py",
            "tests/test_run_impl_resume_paths.py",
            "tests/test_soft_cancel.py",
            "tests/test_tool_batch_failure_history.py",
            "tests/test_tool_failure_boundaries.py",
        ),
        reasons=_OF_AGENTS,
        workers=2,
    ),
    Suite(
        framework="pydantic-ai",
        version="2.33.0",
        release="",
        checkout="CONVOSTORE_PYDANTIC_AI",
        what="messages: each one that the tests build, stored and read",
        plugin="convostore_pydantic_ai",
        files=(
            "tests/test_messages.py",
            "tests/test_transcript_repair.py",
            "tests/test_sanitize_messages.py",
        ),
        only_ours=False,
    ),
    Suite(
        framework="langchain",
        version="1.8.2",
        release="langchain-core==1.8.2",
        what="`BaseChatMessageHistory`, in the place of the one in memory",
        plugin="convostore_langchain",
        files=(
            "tests/unit_tests/chat_history/test_chat_history.py",
            "tests/unit_tests/runnables/test_history.py",
        ),
    ),
    Suite(
        framework="langchain",
        version="1.8.2",
        release="langchain-core==1.8.2",
        what="messages: each one that the tests build, stored and read",
        plugin="convostore_langchain",
        files=("tests/unit_tests/messages", "tests/unit_tests/test_messages.py"),
        only_ours=False,
    ),
    Suite(
        framework="langchain",
        version="1.8.2",
        release="langchain-community==0.4.2",
        what="`BaseChatMessageHistory`, in the place of `SQLChatMessageHistory`",
        plugin="convostore_langchain",
        files=("tests/unit_tests/chat_message_histories/test_sql.py",),
    ),
)
