"""Bin, purge, forgetting and expiry against a plain dictionary: two handles, reopening, the bytes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import convostore
from convostore import Message
from convostore.errors import ConversationNotFoundError
from convostore.records import Filter
from convostore.testing import ManualClock
from tests.engines import rows

if TYPE_CHECKING:
    from tests.engines import Where

PICK = st.integers(0, 10**6)
WHO = st.integers(0, 1)
SOON = st.one_of(st.none(), st.integers(1, 30))


class Deletion(RuleBasedStateMachine):
    """Two handles take one owner's conversations away; the model says what is left, and where.

    Attributes:
        model: id -> key, times, and what its messages say, None where that is forgotten.
        held: the objects by which each handle has opened conversations before, and knows them.
        gone: words that no byte may have in the end.
        where: the store, or a place for a new one.
        clock: the process's, while the test runs.
    """

    where: Where | None = None
    clock: ManualClock

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place: Where = self.where or Path(self.folder.name) / "chats.db"
        self.owner = f"owner-{uuid4()}"
        self.runner = asyncio.Runner()
        self.clock.set_wall(1_000)
        self.model: dict[str, dict[str, Any]] = {}
        self.purged: set[str] = set()
        self.gone: set[str] = set()
        self.words = 0
        self.open()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def open(self) -> None:
        self.stores = [
            self.run(convostore.open(self.place, owner=self.owner).__aenter__()) for _ in range(2)
        ]
        self.held: list[dict[str, Any]] = [{}, {}]

    def close(self) -> None:
        for store in self.stores:
            self.run(store.aclose())

    def teardown(self) -> None:
        try:
            self.run(self.stores[0].purge_expired(scrub=False))
            for id_ in [id_ for id_, one in self.model.items() if self.expired(one)]:
                self.went(id_)
            assert self.run(self.stores[0].check(deep=True)).problems == ()
            if isinstance(self.place, Path):
                self.run(self.stores[1].scrub())
                self.close()
                left = b"".join(file.read_bytes() for file in self.place.parent.iterdir())
                assert {word for word in self.gone if f"{word}.".encode() in left} == set()
        finally:
            self.close()
            self.runner.close()
            self.folder.cleanup()

    # -- what people do ----------------------------------------------------------------------------

    @rule(who=WHO, soon=SOON)
    def create(self, who: int, soon: int | None) -> None:
        at_ms = None if soon is None else self.clock.now_ms() + soon
        chat = self.run(self.stores[who].create(title=self.word(), expires_at_ms=at_ms))
        self.made(who, chat)

    @rule(who=WHO, key=st.sampled_from(["room:1", "room:2"]))
    def room(self, who: int, key: str) -> None:
        """Find the conversation of a key that can be seen, else make a new one."""
        chat = self.run(self.stores[who].get_or_create(key, title=self.word()))
        owners = [id_ for id_, one in self.model.items() if one["key"] == key]
        seen = [id_ for id_ in owners if self.seen(self.model[id_])]
        if seen:
            assert chat.id == seen[0]
            return
        for id_ in owners:
            self.model[id_]["key"] = None
        self.made(who, chat)

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK)
    def say(self, who: int, pick: int) -> None:
        """Append by an object that may have been opened long ago, and goes on where its room does."""
        id_, one = self.picked(pick)
        chat = self.held[who].get(id_)
        if chat is None:
            if not self.seen(one):
                return
            chat = self.held[who][id_] = self.run(self.stores[who].resume(id_))
        word, at = self.word(), self.goes_on(chat)
        if at is None:
            with pytest.raises(ConversationNotFoundError):
                self.run(chat.append(Message.user(f"all {word}.")))
            return
        (stored,) = self.run(chat.append(Message.user(f"all {word}.")))
        assert chat.id == at
        self.model[at]["messages"][stored.seq] = word

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK, nth=PICK)
    def forget(self, who: int, pick: int, nth: int) -> None:
        id_, one = self.picked(pick)
        if not self.seen(one) or not one["messages"]:
            return
        seq = sorted(one["messages"])[nth % len(one["messages"])]
        chat = self.run(self.stores[who].resume(id_))
        assert self.run(chat.forget(seq, scrub=False)) is (one["messages"][seq] is not None)
        self.gone |= {one["messages"][seq]} - {None}
        one["messages"][seq] = None

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK)
    def delete(self, who: int, pick: int) -> None:
        id_, one = self.picked(pick)
        if self.expired(one):
            return
        report = self.run(self.stores[who].delete([id_]))
        assert report.changed == (one["deleted_at_ms"] is None)
        if one["deleted_at_ms"] is None:
            one["deleted_at_ms"] = self.clock.now_ms()

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK)
    def undelete(self, who: int, pick: int) -> None:
        id_, one = self.picked(pick)
        if self.expired(one):
            return
        report = self.run(self.stores[who].undelete([id_]))
        assert report.changed == (one["deleted_at_ms"] is not None)
        one["deleted_at_ms"] = None
        assert self.run(self.stores[who].find(id_)).key == one["key"]

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK, soon=SOON)
    def expire(self, who: int, pick: int, soon: int | None) -> None:
        id_, one = self.picked(pick)
        if not self.seen(one):
            return
        at_ms = None if soon is None else self.clock.now_ms() + soon
        self.run(self.run(self.stores[who].resume(id_)).expire(at_ms))
        one["expires_at_ms"] = at_ms

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK)
    def purge(self, who: int, pick: int) -> None:
        """Purge one by its id: only what is in the bin goes; what somebody brought back stays."""
        id_, one = self.picked(pick)
        if self.expired(one):
            return
        report = self.run(self.stores[who].purge([id_, "nobody"], scrub=False))
        assert (report.found, report.changed) == (2, int(one["deleted_at_ms"] is not None))
        if one["deleted_at_ms"] is not None:
            assert report.messages == len(one["messages"])
            self.went(id_)

    @rule(who=WHO)
    def purge_the_bin(self, who: int) -> None:
        report = self.run(self.stores[who].purge(Filter(), scrub=False))
        binned = self.bin()
        assert report.changed == len(binned)
        for id_ in binned:
            self.went(id_)

    @rule(who=WHO)
    def purge_what_expired(self, who: int) -> None:
        self.run(self.stores[who].purge_expired(scrub=False))
        for id_ in [id_ for id_, one in self.model.items() if self.expired(one)]:
            self.went(id_)

    @rule(later=st.integers(1, 15))
    def wait(self, later: int) -> None:
        self.clock.set_wall(self.clock.now_ms() + later)

    @rule()
    def reopen(self) -> None:
        self.close()
        self.open()

    @rule(who=WHO)
    def scrub(self, who: int) -> None:
        if isinstance(self.place, Path):
            self.run(self.stores[who].scrub())

    # -- what has to hold --------------------------------------------------------------------------

    @rule(who=WHO)
    def lists_and_bin_are_the_models(self, who: int) -> None:
        page = self.run(self.stores[who].list(limit=200))
        seen = {id_ for id_, one in self.model.items() if self.seen(one)}
        assert {record.id for record in page.items} == seen
        assert list(self.run(self.stores[who].matching(deleted=True))) == self.bin()

    @rule(who=WHO)
    def search_finds_what_can_be_seen(self, who: int) -> None:
        """Find every message that is there, once, and nothing else."""
        page = self.run(self.stores[who].search("all", limit=200))
        expected = {
            (id_, seq)
            for id_, one in self.model.items()
            if self.seen(one)
            for seq, word in one["messages"].items()
            if word is not None
        }
        assert sorted((hit.conversation_id, hit.seq) for hit in page.items) == sorted(expected)

    @precondition(lambda self: self.model)
    @rule(who=WHO, pick=PICK)
    def messages_are_the_models(self, who: int, pick: int) -> None:
        id_, one = self.picked(pick)
        if not self.seen(one):
            with pytest.raises(ConversationNotFoundError):
                self.run(self.stores[who].find(id_))
            return
        chat = self.held[who][id_] = self.run(self.stores[who].resume(id_))
        found = {
            each.seq: None if each.status == "erased" else each.text
            for each in self.run(chat.messages())
        }
        said = {seq: word and f"all {word}." for seq, word in one["messages"].items()}
        assert found == said

    @precondition(lambda self: self.purged)
    @rule()
    def purged_ones_have_no_row(self) -> None:
        for table in ("message", "search_pending", "message_search", "tag"):
            found = rows(self.place, f"SELECT DISTINCT conversation_id FROM {table}")
            assert {id_ for (id_,) in found} & self.purged == set()
        found = rows(self.place, "SELECT id FROM conversation")
        assert {id_ for (id_,) in found} & self.purged == set()

    # -- the model ---------------------------------------------------------------------------------

    def goes_on(self, chat: Any) -> str | None:
        """Tell where an object goes on: where its room is, if its own conversation is over."""
        own = self.model.get(chat.id)
        own = own if own is not None and self.seen(own) else None
        if chat.record.key is None or (own is not None and own["key"] is not None):
            return None if own is None else str(chat.id)
        room = [
            id_
            for id_, one in self.model.items()
            if self.seen(one) and one["key"] == chat.record.key
        ]
        return room[0] if room else None if own is None else str(chat.id)

    def word(self) -> str:
        self.words += 1
        return f"w{self.words}xqz"

    def made(self, who: int, chat: Any) -> None:
        assert chat.id not in self.model
        self.held[who][chat.id] = chat
        self.model[chat.id] = {
            "title": chat.record.title,
            "key": chat.record.key,
            "deleted_at_ms": None,
            "expires_at_ms": chat.record.expires_at_ms,
            "messages": {},
        }

    def picked(self, pick: int) -> tuple[str, dict[str, Any]]:
        id_ = list(self.model)[pick % len(self.model)]
        return id_, self.model[id_]

    def expired(self, one: dict[str, Any]) -> bool:
        at_ms: int | None = one["expires_at_ms"]
        return at_ms is not None and at_ms <= self.clock.now_ms()

    def seen(self, one: dict[str, Any]) -> bool:
        return one["deleted_at_ms"] is None and not self.expired(one)

    def bin(self) -> list[str]:
        binned = [
            (one["deleted_at_ms"], id_)
            for id_, one in self.model.items()
            if one["deleted_at_ms"] is not None and not self.expired(one)
        ]
        return [id_ for _, id_ in sorted(binned, reverse=True)]

    def went(self, id_: str) -> None:
        one = self.model.pop(id_)
        self.purged.add(id_)
        self.gone |= {one["title"], *one["messages"].values()} - {None}


def test_what_is_left_is_what_the_model_has(path: Where) -> None:
    """In whichever order things are deleted, brought back, purged, forgotten and expire."""
    with ManualClock() as manual:

        class Here(Deletion):
            where = None if isinstance(path, Path) else path
            clock = manual

        examples = 15 if isinstance(path, Path) else 8
        run_state_machine_as_test(
            Here, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
        )
