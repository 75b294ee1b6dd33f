"""Lists, tags, folders, pins and the archive against a plain dictionary: two handles, reopening."""

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
from convostore.arranging import meant
from convostore.records import Filter
from convostore.storage import filters, listing
from convostore.testing import ManualClock
from convostore.words import plain
from tests.engines import change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where

TITLES = st.sampled_from(["Kyoto", "kyōto in spring", "Bread", "Хлеб", "100%_", "a b"])
TAGS = st.sampled_from(["travel", "Travel", "food", "дом", "a b"])
FOLDERS = st.sampled_from(["work", "home/рецепты", None])
PROVIDERS = st.sampled_from(["echo", "local", None])
KEYS = st.sampled_from(["telegram:", "tele", "tele\U0010ffff", "room:"])
PICK = st.integers(0, 10**6)
FLAGS = st.sampled_from([None, True, False])
FILTERS = st.fixed_dictionaries(
    {"archived": FLAGS},
    optional={
        "title": st.sampled_from(["kyoto", "ХЛЕБ", "%", "_", "o"]),
        "provider": st.sampled_from(["echo", "local"]),
        "tag": st.one_of(TAGS, st.tuples(TAGS, TAGS)),
        "folder": st.sampled_from(["work", "home/рецепты", ""]),
        "key_prefix": KEYS,
        "since_ms": st.integers(990, 1010),
        "until_ms": st.integers(990, 1010),
        "interrupted": FLAGS,
        "pinned": FLAGS,
    },
)


class Lists(RuleBasedStateMachine):
    """Two handles change one owner's lists; the model says what every list has to be.

    Attributes:
        model: id -> what the conversation's record has to say.
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
        self.open()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def open(self) -> None:
        self.stores = [
            self.run(convostore.open(self.place, owner=self.owner).__aenter__()) for _ in range(2)
        ]

    def close(self) -> None:
        for store in self.stores:
            self.run(store.aclose())

    def teardown(self) -> None:
        self.close()
        self.runner.close()
        self.folder.cleanup()

    # -- what people do ----------------------------------------------------------------------------

    @rule(who=st.integers(0, 1), title=st.one_of(st.none(), TITLES), provider=PROVIDERS)
    def create(self, who: int, title: str | None, provider: str | None) -> None:
        self.made(self.run(self.stores[who].create(title=title, provider=provider)))

    @rule(who=st.integers(0, 1), key=KEYS, number=PICK)
    def create_with_a_key(self, who: int, key: str, number: int) -> None:
        chat = self.run(self.stores[who].get_or_create(key + str(number % 7)))
        if chat.id not in self.model:
            self.made(chat)

    @rule(later=st.integers(1, 3))
    def wait(self, later: int) -> None:
        self.clock.set_wall(self.clock.now_ms() + later)

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK)
    def go_on(self, who: int, pick: int) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.append(Message.user("First line\nand more")))
        stands["updated_at_ms"] = max(stands["updated_at_ms"], self.clock.now_ms())
        if stands["title"] is None:
            stands |= {"title": "First line", "title_source": "fallback"}

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, title=TITLES)
    def rename(self, who: int, pick: int, title: str) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.rename(f" {title} "))
        stands |= {"title": title, "title_source": "user"}

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, pinned=st.booleans())
    def pin(self, who: int, pick: int, pinned: bool) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.pin() if pinned else chat.unpin())
        stands["pinned"] = pinned

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, archived=st.booleans())
    def archive(self, who: int, pick: int, archived: bool) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.archive() if archived else chat.unarchive())
        self.archived(stands, archived)

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, names=st.lists(TAGS, max_size=3))
    def tag(self, who: int, pick: int, names: list[str]) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.tag(*names))
        stands["tags"] = stands["tags"] | {name.lower() for name in names}

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, names=st.lists(TAGS, max_size=3))
    def untag(self, who: int, pick: int, names: list[str]) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.untag(*names))
        stands["tags"] = stands["tags"] - {name.lower() for name in names}

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, folder=FOLDERS)
    def move(self, who: int, pick: int, folder: str | None) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.move(folder))
        stands["folder"] = folder

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK, name=st.sampled_from("ab"), value=FLAGS)
    def note(self, who: int, pick: int, name: str, value: bool | None) -> None:
        chat, stands = self.chat(who, pick)
        self.run(chat.set_metadata({name: value}, merge=True))
        stands["metadata"] = {
            key: kept
            for key, kept in (stands["metadata"] | {name: value}).items()
            if kept is not None
        }

    @precondition(lambda self: self.model)
    @rule(pick=PICK)
    def a_writer_dies(self, pick: int) -> None:
        """Bring about what takes a crash; the list looks at nothing but this number.

        The stores go on meanwhile: what they have begun in the background may hold the row.
        """
        _, stands = self.chat(0, pick)
        stands["interrupted_count"] = 1
        sql = "UPDATE conversation SET interrupted_count = 1 WHERE id = ?"
        self.run(asyncio.to_thread(change, self.place, sql, stands["id"]))

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), words=FILTERS, tags=st.lists(TAGS, max_size=2), archive=FLAGS)
    def change_many(self, who: int, words: Any, tags: list[str], archive: bool | None) -> None:
        if not tags and archive is None:
            return
        wanted = meant(None, words)
        meant_ids = self.expected(wanted)
        report = self.run(self.stores[who].update_all(wanted, tag=tags, archive=archive))
        changed = 0
        for id_ in meant_ids:
            before = dict(self.model[id_])
            stands = self.model[id_]
            stands["tags"] = stands["tags"] | {name.lower() for name in tags}
            if archive is not None:
                self.archived(stands, archive)
            changed += stands != before
        assert (report.found, report.changed, report.gone) == (len(meant_ids), changed, 0)

    @rule()
    def reopen(self) -> None:
        self.close()
        self.open()

    # -- what has to hold --------------------------------------------------------------------------

    @rule(who=st.integers(0, 1), words=FILTERS, limit=st.integers(1, 4))
    def a_filtered_list_is_the_models(self, who: int, words: Any, limit: int) -> None:
        wanted = meant(None, words)
        expected = self.expected(wanted)
        assert self.listed(who, limit, wanted) == expected
        assert list(self.run(self.stores[who].matching(wanted))) == expected

    @rule(who=st.integers(0, 1), limit=st.integers(1, 4))
    def the_plain_list_is_the_models(self, who: int, limit: int) -> None:
        assert self.listed(who, limit, Filter()) == self.expected(Filter())

    @precondition(lambda self: self.model)
    @rule(who=st.integers(0, 1), pick=PICK)
    def a_record_is_the_models(self, who: int, pick: int) -> None:
        _, stands = self.chat(who, pick)
        record = self.run(self.stores[who].find(stands["id"]))
        for name, value in stands.items():
            found = getattr(record, name)
            assert (set(found) if name == "tags" else found) == value, name

    # -- the model ---------------------------------------------------------------------------------

    def made(self, chat: Any) -> None:
        record = chat.record
        names: tuple[str, ...] = (
            "id",
            "title",
            "title_source",
            "provider",
            "key",
            "pinned",
            "folder",
            "metadata",
        )
        names += ("archived_at_ms", "updated_at_ms", "interrupted_count")
        self.model[chat.id] = {name: getattr(record, name) for name in names} | {"tags": set()}

    def chat(self, who: int, pick: int) -> tuple[Any, dict[str, Any]]:
        stands = self.model[list(self.model)[pick % len(self.model)]]
        return self.run(self.stores[who].resume(stands["id"])), stands

    def archived(self, stands: dict[str, Any], archive: bool) -> None:
        if archive is not (stands["archived_at_ms"] is not None):
            stands["archived_at_ms"] = self.clock.now_ms() if archive else None

    def expected(self, filter: Filter) -> list[str]:
        found = [one for one in self.model.values() if fits(one, filter)]
        found.sort(key=lambda one: (shelf(one), -one["updated_at_ms"]))
        found = [
            one
            for group in grouped(found)
            for one in sorted(group, key=lambda one: str(one["id"]), reverse=True)
        ]
        return [one["id"] for one in found]

    def listed(self, who: int, limit: int, filter: Filter) -> list[str]:
        ids: list[str] = []
        cursor = None
        while True:
            page = self.run(self.stores[who].list(limit=limit, cursor=cursor, filter=filter))
            ids += [one.id for one in page.items]
            assert len(page.items) == limit or page.next_cursor is None
            if (cursor := page.next_cursor) is None:
                return ids


def shelf(one: dict[str, Any]) -> int:
    """Return on which part of the list a conversation of the model stands."""
    return 2 if one["archived_at_ms"] is not None else 0 if one["pinned"] else 1


def grouped(ordered: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield runs of the same shelf and time."""
    run: list[dict[str, Any]] = []
    for one in ordered:
        if run and (shelf(run[0]), run[0]["updated_at_ms"]) != (shelf(one), one["updated_at_ms"]):
            yield run
            run = []
        run.append(one)
    yield run


def fits(one: dict[str, Any], filter: Filter) -> bool:
    """Say of a conversation of the model what a filter has to say."""
    said = [
        filter.title is None or plain(filter.title) in plain(one["title"] or ""),
        filter.provider in {None, one["provider"]},
        set(filter.tags) <= one["tags"],
        filter.folder is None or filter.folder == (one["folder"] or ""),
        filter.key_prefix is None or (one["key"] or "").startswith(filter.key_prefix),
        filter.since_ms is None or one["updated_at_ms"] >= filter.since_ms,
        filter.until_ms is None or one["updated_at_ms"] < filter.until_ms,
        filter.interrupted in {None, one["interrupted_count"] > 0},
        filter.pinned in {None, one["pinned"]},
        filter.archived in {None, one["archived_at_ms"] is not None},
    ]
    return all(said)


@pytest.mark.parametrize("small", [True, False], ids=["walked", "by index"])
def test_every_list_is_that_of_the_model(
    path: Where, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was done in whichever order, each list has the model's conversations, in its order.

    Once with bounds so small that shelves are walked span by span, and once as they are.
    """
    if small:
        monkeypatch.setattr(filters, "FEW", 0)
        monkeypatch.setattr(listing, "FIRST_SPAN", 1)
        monkeypatch.setattr(listing, "LONGEST_SPAN", 3)

    with ManualClock() as manual:

        class Here(Lists):
            where = None if isinstance(path, Path) else path
            clock = manual

        examples = 25 if isinstance(path, Path) else 8
        run_state_machine_as_test(
            Here, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
        )
