"""A conversation's branches against a plain dictionary, with two handles and reopening."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import convostore
from convostore import Message
from convostore.testing import ScriptedProvider

if TYPE_CHECKING:
    from tests.engines import Where

TEXTS = st.sampled_from(["one", "two", "drei", "четыре", "五"])
PICK = st.integers(0, 10**6)


class Branches(RuleBasedStateMachine):
    """Two handles write to one conversation; the model says what every reader has to see.

    Attributes:
        tree: the model: number -> (parent's number, text).
        heads: where each of the two handles stands.
        stored: where the conversation itself stands.
        where: the store, or a place for a new one.
    """

    where: Where | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path: Where = self.where or Path(self.folder.name) / "chats.db"
        self.owner = f"owner-{uuid4()}"
        self.runner = asyncio.Runner()
        self.provider = ScriptedProvider()
        self.tree: dict[int, tuple[int | None, str]] = {}
        self.heads: list[int | None] = [None, None]
        self.stored: int | None = None
        self.last = 0
        self.answers = 0

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.open()
        self.chats = [self.run(self.store.create(title="t"))]
        self.chats.append(self.run(self.store.resume(self.chats[0].id)))

    def open(self) -> None:
        opening = convostore.open(self.path, provider=self.provider, owner=self.owner)
        self.store = self.run(opening.__aenter__())

    def teardown(self) -> None:
        assert not self.run(self.store.check(deep=True)).problems
        self.run(self.store.aclose())
        self.runner.close()
        self.folder.cleanup()

    # -- the model ---------------------------------------------------------------------------------

    def path_of(self, seq: int | None) -> list[int]:
        way: list[int] = []
        while seq is not None:
            way.insert(0, seq)
            seq = self.tree[seq][0]
        return way

    def below(self, seq: int) -> set[int]:
        return {one for one in self.tree if seq in self.path_of(one)}

    def add(self, parent: int | None, text: str) -> int:
        self.last += 1
        self.tree[self.last] = (parent, text)
        return self.last

    def moved(self, who: int, before: int | None, to: int) -> None:
        if self.stored == before:
            self.stored = to
        self.heads[who] = to

    def answer(self) -> str:
        self.answers += 1
        text = f"answer {self.answers}"
        self.provider.answer(text)
        return text

    def usable(self, who: int) -> bool:
        return self.heads[who] is None or self.heads[who] in self.tree

    # -- what people do ----------------------------------------------------------------------------

    @rule(who=st.integers(0, 1), text=TEXTS)
    def send(self, who: int, text: str) -> None:
        if not self.usable(who):
            return
        answer = self.answer()
        self.run(self.chats[who].send(text))
        before = self.heads[who]
        self.moved(who, before, self.add(self.add(before, text), answer))

    @rule(who=st.integers(0, 1), text=TEXTS)
    def append(self, who: int, text: str) -> None:
        self.run(self.chats[who].append(Message.user(text)))
        self.stored = self.heads[who] = self.add(self.stored, text)

    @precondition(lambda self: self.tree)
    @rule(who=st.integers(0, 1), pick=PICK)
    def regenerate(self, who: int, pick: int) -> None:
        if not self.usable(who):
            return
        at = sorted(self.tree)[pick % len(self.tree)]
        question = self.run(self.chats[who].tree()).path(self.message(who, at))
        asked = [one.seq for one in question if one.role == "user"][-1]
        answer = self.answer()
        self.run(self.drained(self.chats[who].regenerate(at)))
        self.moved(who, self.heads[who], self.add(asked, answer))

    @precondition(lambda self: self.tree)
    @rule(who=st.integers(0, 1), pick=PICK, text=TEXTS)
    def edit(self, who: int, pick: int, text: str) -> None:
        users = [one.seq for one in self.run(self.chats[0].messages()) if one.role == "user"]
        at = users[pick % len(users)]
        answer = self.answer()
        self.run(self.drained(self.chats[who].edit(at, text)))
        self.moved(who, self.heads[who], self.add(self.add(self.tree[at][0], text), answer))

    @precondition(lambda self: self.tree)
    @rule(who=st.integers(0, 1), pick=PICK, exactly=st.booleans())
    def switch(self, who: int, pick: int, exactly: bool) -> None:
        at = sorted(self.tree)[pick % len(self.tree)]
        head = self.run(self.chats[who].switch(at, exactly=exactly))
        assert head.seq == (at if exactly else max(self.below(at)))
        self.stored = self.heads[who] = head.seq

    @precondition(lambda self: len(self.tree) > 6)
    @rule(who=st.integers(0, 1), pick=PICK)
    def delete_branch(self, who: int, pick: int) -> None:
        at = sorted(self.tree)[pick % len(self.tree)]
        gone, above = self.below(at), self.tree[at][0]
        assert self.run(self.chats[who].delete_branch(at)) == len(gone)
        for seq in gone:
            del self.tree[seq]
        self.last += 1  # a removal takes a number too
        if self.stored in gone:
            beside = self.below(above) if above is not None else set(self.tree)
            self.stored = max(beside) if beside else None
        if self.heads[who] in gone or self.heads[who] is None:
            self.heads[who] = self.stored

    @rule(who=st.integers(0, 1))
    def resume(self, who: int) -> None:
        self.chats[who] = self.run(self.store.resume(self.chats[who].handle))
        self.heads[who] = self.stored

    @rule()
    def reopen(self) -> None:
        self.run(self.store.aclose())
        self.open()
        for who in (0, 1):
            self.resume(who)

    @precondition(lambda self: self.tree)
    @rule(pick=PICK)
    def fork(self, pick: int) -> None:
        at = sorted(self.tree)[pick % len(self.tree)]
        other = self.run(self.chats[0].fork(at))
        texts = [one.text for one in self.run(other.history())]
        assert texts == [self.tree[seq][1] for seq in self.path_of(at)]

    # -- what has to hold --------------------------------------------------------------------------

    @invariant()
    def every_reader_sees_the_model(self) -> None:
        fresh = self.run(self.store.resume(self.chats[0].id))
        stored = {one.seq: (one.parent_seq, one.text) for one in self.run(fresh.messages())}
        assert stored == self.tree
        assert fresh.record.head_seq == self.stored
        assert fresh.record.message_count == len(self.tree)
        for who in (0, 1):
            if self.usable(who):
                history = [one.seq for one in self.run(self.chats[who].history())]
                assert history == self.path_of(self.heads[who])
        leaves = [seq for seq in sorted(self.tree) if self.below(seq) == {seq}]
        branches = self.run(fresh.branches())
        assert [branch.leaf.seq for branch in branches] == leaves
        assert sum(branch.active for branch in branches) == (1 if self.tree and self.stored else 0)
        if isinstance(self.path, Path):  # a server has what all examples left: at their ends
            assert not self.run(self.store.check(deep=True)).problems

    def message(self, who: int, seq: int) -> Message:
        found = self.run(self.chats[who].messages())
        by_seq: dict[int, Message] = {one.seq: one for one in found}
        return by_seq[seq]

    async def drained(self, turn: Any) -> None:
        async with turn:
            await turn.drain()


def test_every_reader_sees_the_branches_of_the_model(path: Where) -> None:
    """Whatever two handles do to one conversation in whichever order, also opened anew."""

    class Here(Branches):
        where = None if isinstance(path, Path) else path

    examples = 25 if isinstance(path, Path) else 8
    run_state_machine_as_test(
        Here, settings=settings(max_examples=examples, stateful_step_count=20, deadline=None)
    )
