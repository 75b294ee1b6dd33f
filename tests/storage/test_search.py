"""Searching a store: everything that was said is found, in every language, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import convostore
from convostore import Message
from convostore.errors import AmbiguousHandleError, ConversationNotFoundError, FormatError
from convostore.events import Finished, ReasoningDelta, RemoteUpdate
from convostore.formats.foreign import ForeignConversation, ForeignMessage
from convostore.parts import ReasoningPart, TextPart
from convostore.records import RemoteThread
from convostore.storage import search, searching
from convostore.testing import Fail, ScriptedProvider
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore import Conversation, Store
    from convostore.records import SearchHit
    from tests.engines import Where


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that plays what the test writes."""
    return ScriptedProvider()


@pytest_asyncio.fixture
async def store(path: Where, provider: ScriptedProvider) -> AsyncIterator[Store]:
    """Open a new store."""
    async with convostore.open(path, provider=provider) as opened:
        yield opened


async def said(store: Store, *texts: str, title: str | None = None) -> Conversation:
    """Keep *texts* in a new conversation, in turn as question and answer."""
    chat = await store.create(title=title)
    for number, text in enumerate(texts):
        await chat.append((Message.assistant if number % 2 else Message.user)(text))
    return chat


async def found(store: Store, query: str, **how: Any) -> list[str]:
    """Return the excerpts of what is found, in order."""
    return [hit.excerpt for hit in (await store.search(query, **how)).items]


def marked(hit: SearchHit) -> list[str]:
    """Return what is marked in a hit's excerpt."""
    return [hit.excerpt[start:end] for start, end in hit.marks]


TABLE = [
    ("разговор", "все разговоры записаны", "разговоры"),
    ("база", "о базах данных", "базах"),
    ("съемка", "ночные съёмки в парке", "съёмки"),
    ("съёмка", "ночные съемки", "съемки"),
    ("数据", "学习数据库很有趣", "数据"),
    ("検索", "データを検索する", "検索"),
    ("数据库", "学习数据库很有趣", "数据库"),
    ("エンジン", "検索エンジンを使う", "エンジン"),
    ("学", "学习数据库很有趣", "学习"),
    ("趣", "学习数据库很有趣", "有趣"),
    ("검색", "검색을 했다", "검색"),
    ("database", "two databases here", "databases"),
    ("databases", "one database here", "database"),
    ("cafe", "un café noir", "café"),
    ("café", "the cafe", "cafe"),
    ("CAFE", "un cafe\u0301 noir", "cafe\u0301"),
    ("naive", "so naïve", "naïve"),
    ("strasse", "die Straße", "Straße"),
    ("someFunction", "call someFunction(x)", "someFunction"),
    ("somefunction", "call someFunction(x)", "someFunction"),
    ("function", "call someFunction(x)", "Function"),
    ("file.py", "open src/file.py now", "file.py"),
    ("file", "open src/file.py now", "file"),
    ("src/file.py", "open src/file.py now", "src/file.py"),
    ("snake_case", "a snake_case name", "snake_case"),
    ("case", "a snake_case name", "case"),
    ("3.12.1", "since v3.12.1 it works", "3.12.1"),
    ("v3.12.1", "since v3.12.1 it works", "v3.12.1"),
    ("हिन्दी", "यह हिन्दी है", "हिन्दी"),
    ("שלום", "שָׁלוֹם לך", "שָׁלוֹם"),
    ("สวัสดี", "สวัสดีครับ", "สวัสดี"),
]


@pytest.mark.asyncio
async def test_every_row_of_the_table_is_a_hit(store: Store) -> None:
    """Other forms of a word, no spaces, accents, identifiers: each query finds its text, marked."""
    await said(store, *dict.fromkeys(text for _, text, _ in TABLE), "nothing of that")
    for query, text, mark in TABLE:
        hits = (await store.search(query)).items
        assert text in [hit.excerpt for hit in hits], query
        assert mark in {word for hit in hits if hit.excerpt == text for word in marked(hit)}, query
        assert "nothing of that" not in [hit.excerpt for hit in hits]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("rail pass", ["a pass for rail", "the rail passes", "rail, then a long way to a pass"]),
        ('"rail pass"', ["the rail passes"]),
        ("rail -long", ["a pass for rail", "the rail passes"]),
        ('rail -"for rail"', ["the rail passes", "rail, then a long way to a pass"]),
        ("-rail", ["by bus"]),
        ("bu*", ["by bus"]),
        ('"a long w"*', ["rail, then a long way to a pass"]),
        ("rail OR bus", []),
        ("role:user", ["a pass for rail", "rail, then a long way to a pass"]),
        ("role:assistant pass", ["the rail passes"]),
        ("-role:user -role:title", ["by bus", "the rail passes"]),
        ("role:tool", []),
        ("after:1d bus", ["by bus"]),
        ("before:1d bus", []),
        ("model:m-1 bus", []),
        ("", []),
        ("?! -", []),
    ],
)
async def test_query_finds_what_it_means(store: Store, query: str, expected: list[str]) -> None:
    """Words in any order, phrases, exclusions, beginnings and filters."""
    await said(
        store, "a pass for rail", "the rail passes", "rail, then a long way to a pass", "by bus"
    )
    assert sorted(await found(store, query)) == sorted(expected)


@pytest.mark.asyncio
async def test_filters_of_conversations_narrow(store: Store) -> None:
    """By tag, by the conversation's name, and by the model that answered."""
    kyoto = await said(store, "train to Kyoto", title="Kyoto")
    await kyoto.append(Message.assistant("a train", model="Tulu3-405b"))
    await kyoto.tag("travel", "two words")
    await said(store, "model train", title="Toys")
    assert await found(store, "tag:travel role:user train") == ["train to Kyoto"]
    assert await found(store, 'tag:travel tag:"two words" role:user train') == ["train to Kyoto"]
    assert await found(store, "tag:travel tag:work train") == []
    assert await found(store, "-tag:travel train") == ["model train"]
    assert await found(store, f"in:{kyoto.handle} role:user train") == ["train to Kyoto"]
    assert await found(store, "model:tulu train") == ["a train"]
    assert await found(store, "model:t_lu train") == []
    assert await found(store, "in:@ train") == ["model train"]
    with pytest.raises(ConversationNotFoundError, match="in:nowhere") as raised:
        await store.search("in:nowhere train")
    assert '"in:nowhere"' in raised.value.hint


@pytest.mark.asyncio
async def test_name_of_several_conversations_is_ambiguous(store: Store, path: Where) -> None:
    """`in:` takes what every command takes for a conversation, and refuses the same."""
    for handle in ("aaaa1111", "aaaa2222"):
        chat = await said(store, "x")
        change(path, "UPDATE conversation SET handle = ? WHERE id = ?", handle, chat.id)
    with pytest.raises(AmbiguousHandleError):
        await store.search("in:aaaa x")


@pytest.mark.asyncio
async def test_hit_says_where_it_is(store: Store) -> None:
    """The conversation, the message and its number, its role, its time and how well it fits."""
    chat = await said(store, "first", "the rail pass", title="Kyoto")
    (hit,) = (await store.search("rail")).items
    message = (await chat.history())[1]
    assert (hit.conversation_id, hit.handle, hit.title) == (chat.id, chat.handle, "Kyoto")
    assert (hit.message_id, hit.seq, hit.role, hit.status) == (
        message.id,
        2,
        "assistant",
        "completed",
    )
    assert hit.created_at_ms == message.created_at_ms
    assert marked(hit) == ["rail"]
    assert hit.score is not None
    assert hit.score > 0


@pytest.mark.asyncio
async def test_message_is_found_right_after_its_commit(store: Store) -> None:
    """No wait, and nothing left over: the search itself indexes what is marked."""
    chat = await store.create()
    for number in range(20):
        await chat.append(Message.user(f"word{number} here"))
        page = await store.search(f"word{number}")
        assert [hit.seq for hit in page.items] == [number + 1]
        assert page.unindexed == 0


@pytest.mark.asyncio
async def test_question_is_found_while_its_answer_runs(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """The question at once, the answer when it has ended; each is indexed once."""
    provider.script("the answer of ", provider.gate("half"), "elephants", Finished())
    chat = await store.create()
    async with chat.stream("all about zebras") as turn:
        await anext(turn)
        page = await store.search("zebras")
        assert [hit.seq for hit in page.items] == [1]
        assert page.unindexed == 1
        assert await found(store, "elephants") == []
        provider.gate("half").open()
        await turn.drain()
    page = await store.search("elephants")
    assert [hit.seq for hit in page.items] == [2]
    assert page.unindexed == 0
    assert rows(path, "SELECT count(*) FROM message_search") == [(2,)]
    assert rows(path, "SELECT count(*) FROM search_pending") == [(0,)]


@pytest.mark.asyncio
async def test_broken_off_answer_is_found(store: Store, provider: ScriptedProvider) -> None:
    """Stopped or failed, what was there of it is found, and the hit says how it ended."""
    chat = await store.create()
    provider.script("half an elephant", provider.gate("never"))
    async with chat.stream("zebra") as turn:
        await anext(turn)
    provider.script(
        "half a giraffe", Fail(convostore.errors.ProviderConnectError("gone", provider="x"))
    )
    with pytest.raises(convostore.errors.ProviderError):
        await chat.send("again")
    assert [hit.status for hit in (await store.search("elephant")).items] == ["stopped"]
    assert [hit.status for hit in (await store.search("giraffe")).items] == ["failed"]


@pytest.mark.asyncio
async def test_answer_of_a_dead_writer_is_found(store: Store, path: Where) -> None:
    """A search closes what a killed program left, so that its text can be found."""
    chat = await said(store, "zebra")
    owner_id = rows(path, "SELECT owner_id FROM conversation")[0][0]
    at = (owner_id, chat.id)
    change(
        path,
        "INSERT INTO message (owner_id, conversation_id, seq, id, parent_seq, role, status, text,"
        " lease, created_at_ms) VALUES (?, ?, 2, 'x', 1, 'assistant', 'streaming', '', 'token|boot|namespace|1|1|0', 1)",
        *at,
    )
    change(path, "INSERT INTO journal VALUES (?, ?, 2, 0, 'text', 'half an elephant')", *at)
    change(path, "INSERT INTO search_pending VALUES (?, ?, 2)", *at)
    change(path, "UPDATE conversation SET last_seq = 2, head_seq = 2, message_count = 2")
    (hit,) = (await store.search("elephant")).items
    assert (hit.seq, hit.status) == (2, "interrupted")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        ("get_user_na*", [2, 4]),
        ('"rail pas"*', [1]),
        ('"the rail pas"*', [1]),
        ("getuserNa*", [4]),
        ('"user getuse"*', []),
        ('role:user -"rail pas"*', [3]),
        ('rail -"rail pas"*', [3]),
    ],
)
async def test_last_of_several_words_in_a_row_may_be_a_beginning(
    store: Store, typed: str, numbers: list[int]
) -> None:
    """Also of a word that is kept in two forms; and what stands apart in a text is no row."""
    chat = await store.create()
    await chat.append(
        Message.user("Both of the rail passes were sold"),
        Message.assistant("call get_user_names(them)"),
        Message.user("the passengers of the rail line"),
        Message.assistant("or getUserNames, and the names that a user may get"),
    )
    assert sorted(hit.seq for hit in (await store.search(typed)).items) == numbers


@pytest.mark.asyncio
async def test_titles_are_found_and_a_new_one_replaces_the_old(store: Store) -> None:
    """A title that somebody chose is a hit of its own; after a rename only the new one is."""
    chat = await said(store, "hello", title="Autumn in Kyoto")
    (hit,) = (await store.search("autumn")).items
    assert (hit.seq, hit.role, hit.message_id, hit.excerpt) == (0, "title", None, "Autumn in Kyoto")
    await chat.rename("Winter in Kyoto")
    assert await found(store, "autumn") == []
    assert await found(store, "winter") == ["Winter in Kyoto"]
    assert await found(store, "role:title kyoto") == ["Winter in Kyoto"]


@pytest.mark.asyncio
async def test_title_made_of_the_first_question_is_no_hit_of_its_own(store: Store) -> None:
    """What is found twice helps nobody; once a person takes the same title, it is a title."""
    chat = await said(store, "autumn in Kyoto")
    assert [hit.seq for hit in (await store.search("autumn")).items] == [1]
    await chat.rename("autumn in Kyoto")
    assert sorted(hit.seq for hit in (await store.search("autumn")).items) == [0, 1]


@pytest.mark.asyncio
async def test_only_the_active_branch_is_searched_unless_all_are_wanted(
    store: Store, provider: ScriptedProvider
) -> None:
    """What was regenerated away is found when it is asked for, or made the active branch again."""
    provider.answer("an elephant")
    provider.answer("a giraffe")
    chat = await store.create()
    first = await chat.send("which animal")
    async with chat.regenerate() as turn:
        await turn.drain()
    assert await found(store, "elephant") == []
    assert await found(store, "giraffe") == ["a giraffe"]
    assert await found(store, "elephant", all_branches=True) == ["an elephant"]
    assert await found(store, "animal") == ["which animal"]
    await chat.switch(first.id)
    assert await found(store, "elephant") == ["an elephant"]
    assert await found(store, "giraffe") == []


@pytest.mark.asyncio
async def test_of_any_tree_the_path_to_its_head_is_searched(store: Store) -> None:
    """Wherever it branches, has several roots, or goes on below its head: what history shows."""
    chance = Random(7)
    for number in range(40):
        told: list[ForeignMessage] = []
        for at in range(chance.randint(1, 9)):
            line = at - 1 if at else None
            above = line if chance.random() < 0.6 else chance.choice([None, *range(at)])
            told.append(
                ForeignMessage(
                    source_id=f"{at}",
                    parent=None if above is None else f"{above}",
                    role="user",
                    parts=(TextPart(f"zebra{number} at {at}"),),
                )
            )
        head = f"{chance.randrange(len(told))}"
        wanted = ForeignConversation(
            source="chatgpt", source_id=f"{number}", messages=tuple(told), head=head
        )
        async for one in store.import_([wanted], format="chatgpt"):
            chat = await store.resume(one.handle or "")
        path = {message.seq for message in await chat.history()}
        for newest_first in (True, False):
            page = await store.search(f"zebra{number}", newest_first=newest_first)
            assert {hit.seq for hit in page.items if hit.seq} == path
        page = await store.search(f"zebra{number}", all_branches=True)
        assert len({hit.seq for hit in page.items if hit.seq}) == len(told)


@pytest.mark.asyncio
async def test_who_is_alone_in_a_store_finds_the_same_as_beside_others(store: Store) -> None:
    """With one owner an index is asked in fewer words: the same is found, in the same order."""
    for number in range(30):
        await said(store, "okapi " * (1 + number % 5) + "leaf " * (7 * number % 23), "no such")
    queries = ("okapi", "okapi leaf", "okapi -leaf", "okapi role:user", "oka*", '"okapi leaf"')
    asked = [(query, newest_first) for query in queries for newest_first in (False, True)]
    alone = [await found(store, query, newest_first=how) for query, how in asked]
    assert all(alone)
    await said(store.for_owner("bob"), "okapi")
    assert alone == [await found(store, query, newest_first=how) for query, how in asked]


@pytest.mark.asyncio
async def test_removed_branch_leaves_no_word_behind(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """Of a branch that is removed for good, no word is in the index."""
    provider.answer("an xyzzyelephant")
    provider.answer("a giraffe")
    chat = await store.create()
    first = await chat.send("which animal")
    async with chat.regenerate() as turn:
        await turn.drain()
    assert await found(store, "xyzzyelephant", all_branches=True) == ["an xyzzyelephant"]
    assert [word for word in words(path) if "xyzzy" in word]
    await chat.delete_branch(first.id)
    assert [word for word in words(path) if "xyzzy" in word] == []
    assert rows(path, "SELECT count(*) FROM message_search") == [(2,)]


def words(path: Where) -> list[str]:
    """Return every word of the index."""
    if isinstance(path, str):
        return [
            word
            for (word,) in rows(
                path, "SELECT DISTINCT unnest(tsvector_to_array(words)) FROM message_search"
            )
        ]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, message_words, row)"
        )
        return [word for (word,) in connection.execute("SELECT term FROM temp.seen")]


@pytest.mark.asyncio
async def test_fork_is_found_as_a_conversation_of_its_own(store: Store) -> None:
    """Copies are messages: they are found where they are."""
    chat = await said(store, "about zebras", "yes", title="Animals")
    copy = await chat.fork()
    hits = (await store.search("zebras")).items
    assert {hit.conversation_id for hit in hits} == {chat.id, copy.id}
    assert len((await store.search("role:title animals")).items) == 2


@pytest.mark.asyncio
async def test_archive_is_searched_and_the_bin_is_not(store: Store, path: Where) -> None:
    """What is put away is still there; what is deleted is not to be found."""
    chat = await said(store, "about zebras", title="Zebras")
    await chat.archive()
    assert len(await found(store, "zebras")) == 2
    assert len(await found(store, "role:user zebras")) == 1
    change(path, "UPDATE conversation SET deleted_at_ms = 1")
    assert await found(store, "zebras") == []
    assert await found(store, "role:user zebras") == []


@pytest.mark.asyncio
async def test_reasoning_is_found_only_when_asked(store: Store, provider: ScriptedProvider) -> None:
    """What a model thought is no part of what was said."""
    provider.script(ReasoningDelta("let me think of elephants"), "Zebras.", Finished())
    chat = await store.create()
    await chat.send("which animal")
    await chat.append(
        Message.assistant(
            "both", parts=(ReasoningPart("elephants again, and zebras"), TextPart("both"))
        )
    )
    assert await found(store, "elephants") == []
    assert sorted(await found(store, "elephants", reasoning=True)) == [
        "elephants again, and zebras",
        "let me think of elephants",
    ]
    assert await found(store, "zebras") == ["Zebras."]
    assert len(await found(store, "zebras", reasoning=True)) == 2
    assert await found(store, '"of elephants"', reasoning=True) == ["let me think of elephants"]
    assert await found(store, "zebras -elephants", reasoning=True) == []


@pytest.mark.asyncio
async def test_ids_of_the_far_side_are_never_found(
    store: Store, provider: ScriptedProvider
) -> None:
    """They are secrets, and no words."""
    remote = RemoteThread(
        server_url="http://far",
        dialect="threads",
        remote_id="msgSECRET1",
        user_remote_id="msgSECRET2",
    )
    provider.script(RemoteUpdate(remote=remote), "hello", Finished())
    chat = await store.create(anonymous_user_id="anonSECRET3")
    await chat.send("hi")
    for secret in ("msgSECRET1", "msgSECRET2", "anonSECRET3", "secret*", chat.id, chat.handle):
        assert await found(store, secret, all_branches=True, reasoning=True) == []


@pytest.mark.asyncio
async def test_nobody_finds_what_belongs_to_somebody_else(store: Store) -> None:
    """Each owner searches in what is theirs, filters and names of conversations included."""
    alice, bob = store.for_owner("alice"), store.for_owner("bob")
    chat = await said(alice, "the secret zebra", title="zebra")
    assert await found(bob, "zebra") == []
    await said(bob, "my own zebra")
    for query in ("zebra", "role:user", "-elephant", "zeb*", "secret OR zebra"):
        assert set(await found(bob, query, all_branches=True)) <= {"my own zebra"}
    with pytest.raises(ConversationNotFoundError):
        await bob.search(f"in:{chat.id} zebra")
    assert len(await found(alice, "zebra")) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("window", [5, 2000])
async def test_pages_give_everything_once(
    store: Store, newest_first: bool, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages of any size, over windows of any size, while others go on writing."""
    monkeypatch.setattr(searching, "RANKED_WINDOW", window)
    monkeypatch.setattr(searching, "NEWEST_WINDOW", window)
    texts = [f"zebra {'and more ' * (number % 7)} {number}" for number in range(23)]
    chat = await said(store, *texts)
    seen: list[int] = []
    cursor = None
    for _ in range(20):
        page = await store.search("zebra", limit=3, cursor=cursor, newest_first=newest_first)
        seen += [hit.seq for hit in page.items]
        await chat.append(Message.user("another zebra"))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == list(range(1, 24))
    if newest_first:
        assert seen == list(range(23, 0, -1))
    whole = await store.search("zebra", limit=200, newest_first=newest_first)
    assert whole.next_cursor is None
    if not newest_first and window > 100:
        scores = [hit.score or 0 for hit in whole.items]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("newest_first", [False, True])
async def test_page_goes_on_behind_many_that_may_not_be_seen(
    store: Store, newest_first: bool
) -> None:
    """A hit below more rows of another branch than a page first looks at is given once."""
    chat = await said(store, *["zebra"] * 3)
    await chat.switch(1, exactly=True)
    for _ in range(20):
        await chat.append(Message.user("zebra, aside"))
    await chat.switch(3)
    seen: list[int] = []
    cursor = None
    for _ in range(5):
        page = await store.search("zebra", limit=1, newest_first=newest_first, cursor=cursor)
        seen += [hit.seq for hit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [3, 2, 1]


@pytest.mark.asyncio
async def test_page_that_meets_only_what_may_not_be_seen_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks at so many windows; then it is given as it is, and the next one goes on."""
    monkeypatch.setattr(searching, "RANKED_WINDOW", 1)
    await said(store, "the first zebra")
    chat = await said(store, "hello", *["zebra"] * (searching.MOST_WINDOWS + 3))
    await chat.switch(1, exactly=True)
    page = await store.search("zebra")
    assert page.items == ()
    page = await store.search("zebra", cursor=page.next_cursor)
    assert [hit.excerpt for hit in page.items] == ["the first zebra"]
    assert page.next_cursor is None


@pytest.mark.asyncio
async def test_cursor_belongs_to_its_search(store: Store) -> None:
    """A cursor of another query, another order or no search at all is refused."""
    await said(store, *["zebra horse"] * 3)
    page = await store.search("zebra", limit=1)
    assert page.next_cursor
    hows: list[tuple[str, dict[str, Any]]] = [("horse", {}), ("zebra", {"newest_first": True})]
    for query, how in hows:
        with pytest.raises(FormatError, match="cursor"):
            await store.search(query, cursor=page.next_cursor, **how)
    for cursor in ("", "x", "WzFd", page.next_cursor[:-3], "é"):
        with pytest.raises(FormatError):
            await store.search("zebra", cursor=cursor)


@pytest.mark.asyncio
async def test_search_says_what_it_may_have_missed(
    index_at_rest: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is too much to index at once, the page says how much is left."""
    monkeypatch.setattr(search, "CATCH_UP_S", -1)
    for number in range(3):
        await said(store, f"zebra {number}")
    page = await store.search("zebra")
    assert page.unindexed == 3
    monkeypatch.setattr(search, "CATCH_UP_S", 10)
    page = await store.search("zebra")
    assert (len(page.items), page.unindexed) == (3, 0)


@pytest.mark.asyncio
async def test_remarks_are_told_with_the_page(store: Store) -> None:
    """What was not taken as it may have been meant is said beside what was found."""
    await said(store, "after lunch")
    page = await store.search("after:lunch")
    assert [hit.excerpt for hit in page.items] == ["after lunch"]
    assert len(page.remarks) == 1


NASTY = [
    '"',
    "'",
    "*",
    "^a",
    "a NEAR b",
    "{text}: a",
    "(",
    "NOT",
    "a AND",
    "\x00",
    "\ud800",
    "%s",
    "$1",
]
NASTY += [
    "a:b:c",
    "text:x",
    "owner:y",
    "-",
    "--",
    '-"',
    "''' ; DROP TABLE message",
    "\\",
    "a\\b",
    "&|!<->",
]
NASTY += [
    "x" * 9_999,
    "a " * 500,
    "學" * 300,
    "🦓",
    "\u202e",
    "role:",
    "model:%",
    "before:0",
    "tag:\x00",
]


@pytest.mark.asyncio
async def test_nothing_that_can_be_typed_is_an_error(store: Store) -> None:
    """Signs, half characters, other languages' operators: a page, of whatever is found."""
    await said(store, "a b c")
    for query in NASTY:
        assert await store.search(query), query
        assert await store.search(f"{query} {query}*", newest_first=True, reasoning=True), query


@pytest.mark.asyncio
async def test_very_long_and_very_varied_texts_are_stored_and_found(store: Store) -> None:
    """A million characters, and more different words than one row of a server's index takes."""
    varied = " ".join(f"w{number:x}q" for number in range(150_000))
    await said(store, "needle " + "straw " * 200_000, varied)
    assert [hit.seq for hit in (await store.search("needle")).items] == [1]
    assert [hit.seq for hit in (await store.search("w1q")).items] == [2]


@pytest.mark.asyncio
async def test_a_store_without_anything_finds_nothing(store: Store) -> None:
    """An owner who has nothing gets an empty page, and is not made by asking."""
    page = await store.search("zebra")
    assert (page.items, page.next_cursor) == ((), None)
    assert (await store.for_owner("nobody").search("zebra")).items == ()
    assert (await store.list()).items == ()


@pytest.mark.asyncio
async def test_many_search_and_write_at_once(store: Store) -> None:
    """Searches from many tasks, while others write: each finds what was acknowledged before."""

    async def one(number: int) -> None:
        chat = await store.create()
        for turn in range(4):
            await chat.append(Message.user(f"task{number}x turn{turn}x"))
            hits = (await store.search(f"task{number}x")).items
            assert len(hits) == turn + 1

    await asyncio.gather(*(one(number) for number in range(8)))
    assert len((await store.search("turn3x", limit=50)).items) == 8
