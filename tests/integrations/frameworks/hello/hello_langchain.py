"""A chain with a history, as LangChain's docs have it: killed while the model is asked, gone on with."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda

from convostore.integrations.langchain import Histories

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_core.runnables.history import RunnableWithMessageHistory


def model(messages: list[BaseMessage]) -> AIMessage:
    """Answer the first question; the second one is the process's end."""
    if len(messages) > 1 and sys.argv[1] == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    return AIMessage(" | ".join(str(one.content) for one in messages))


def main(questions: tuple[str, ...], where: str) -> None:
    """Ask, and tell what is in the history then."""
    with Histories(where) as histories, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chain: Any = RunnableWithMessageHistory(RunnableLambda(model), histories.get)
        for question in questions:
            chain.invoke(question, config={"configurable": {"session_id": "user:42"}})
        found = histories.get("user:42").messages
        sys.stdout.write(json.dumps([str(one.content) for one in found]))


_FIRST = ("Hi, I am Bob.", "What is my name?")
main(_FIRST if sys.argv[1] == "first" else ("Who am I?",), sys.argv[2])
