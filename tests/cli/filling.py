"""Conversations put into the program's store, and what `list` says of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import convostore
from convostore import Message

if TYPE_CHECKING:
    from tests.cli.program import Program, Run
    from tests.engines import Where


async def _fill(where: Where, titles: tuple[str, ...]) -> list[str]:
    handles = []
    async with convostore.open(where) as store:
        for title in titles:
            chat = await store.create(title=title, key=f"bot:{title}", provider="echo")
            await chat.append(Message.user(f"about {title}"), Message.assistant("hi"))
            handles.append(chat.handle)
    return handles


def fill(program: Program, *titles: str) -> list[str]:
    """Put a conversation for each title into the program's store; return their handles."""
    return asyncio.run(_fill(program.store, titles))


def titles(run: Run) -> list[str]:
    """Return the titles that `list` shows."""
    assert run.code == 0, run.err
    return [line.split("\t")[1] for line in run.text.splitlines()]
