"""Finding a conversation by what people and programs type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import (
    AmbiguousHandleError,
    ConversationNotFoundError,
    DuplicateKeyError,
    InvalidTextError,
)
from convostore.records import Message
from convostore.storage import conversations
from convostore.testing import ManualClock
from tests.engines import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore import Store


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give the handles of the next conversations, last one first."""
    wanted: list[str] = []
    monkeypatch.setattr(conversations, "new_handle", wanted.pop)
    yield wanted
    assert wanted == []


@pytest.mark.asyncio
async def test_each_kind_of_reference_finds_its_conversation(
    store: Store, handles: list[str]
) -> None:
    """Id, key, handle, the handle's beginning, and a handle with O, I and L for digits."""
    handles += ["xyzw1234", "k01k01ab"]
    first = await store.create(title="first", key="telegram:42")
    await store.create(title="second")
    for ref in (first.id, "telegram:42", "k01k01ab", "K0", " koLKOiaB ", "kOIk"):
        assert (await store.find(ref)).title == "first", ref
    assert (await store.resume("x")).title == "second"


@pytest.mark.asyncio
async def test_a_taken_handle_is_not_given_again(store: Store, handles: list[str]) -> None:
    """A random handle that is taken already is thrown away for another."""
    handles += ["bbbbbbbb", "aaaaaaaa", "aaaaaaaa"]
    assert (await store.create()).handle == "aaaaaaaa"
    assert (await store.create()).handle == "bbbbbbbb"


@pytest.mark.asyncio
async def test_an_ambiguous_beginning_lists_what_it_fits(store: Store, handles: list[str]) -> None:
    """Nothing is chosen for the person; the candidates are named with their titles."""
    handles += ["ab999999", "ab222222", "ab111111"]
    for title in ("one", "two", "three"):
        await store.create(title=title)
    with pytest.raises(AmbiguousHandleError) as caught:
        await store.resume("aB")
    assert caught.value.candidates == (
        ("ab111111", "one"),
        ("ab222222", "two"),
        ("ab999999", "three"),
    )
    assert (await store.resume("ab2")).title == "two"


@pytest.mark.asyncio
async def test_the_nth_newest_follows_activity(store: Store) -> None:
    """`@` is where somebody was active last, whatever was made last."""
    with ManualClock() as manual:
        chats = []
        for number, title in enumerate(("a", "b", "c")):
            manual.set_wall(1_000 + number)
            chats.append(await store.create(title=title))
        manual.set_wall(2_000)
        await chats[0].append(Message.user("again"))
    titles = [(await store.find(ref)).title for ref in ("@", "@1", "@2", "@3")]
    assert titles == ["a", "a", "c", "b"]


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["@general", "@x", "@²", "@0", "@-1", "@" + "9" * 20, "@9", "@@"])
async def test_a_key_may_begin_with_an_at_sign(store: Store, key: str) -> None:
    """What is no number, or counts further than there are conversations, is looked up as a key."""
    made = await store.get_or_create(key)
    for _ in range(3):
        await store.create()
    assert (await store.find(key)).id == made.id
    assert (await store.resume(key)).key == key
    assert (await store.get_or_create(key)).id == made.id


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["@", "@2"])
async def test_a_key_that_looks_like_a_number_of_the_list_is_still_a_key(
    store: Store, key: str
) -> None:
    """As a reference it counts; by `get_or_create`, handle and id it is one conversation."""
    with ManualClock() as manual:
        manual.set_wall(1_000)
        made = await store.get_or_create(key)
        manual.set_wall(2_000)
        second = await store.create()
        manual.set_wall(3_000)
        newest = await store.create()
    assert (await store.find(key)).id == {"@": newest.id, "@2": second.id}[key]
    assert (await store.get_or_create(key)).id == made.id
    assert (await store.find(made.handle)).key == key
    with pytest.raises(DuplicateKeyError):
        await store.create(key=key)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "ref",
    [
        *("", " ", "@0", "@4", "@-1", "@x", "@²", "@" + "9" * 20, "@000000001" + "9" * 30),
        *("@" + "9" * 5000, "nope!", "uuuuuuuu", "a" * 9, "x" * 100_000),
        *("\x00", "%", "_", "'; DROP TABLE message", "caf\udce9", "\ud800"),
    ],
)
async def test_what_fits_nothing_is_not_found(store: Store, ref: str) -> None:
    """Whatever is typed, the answer is that there is no such conversation."""
    for _ in range(3):
        await store.create()
    with pytest.raises(ConversationNotFoundError):
        await store.find(ref)


@pytest.mark.asyncio
async def test_blanks_around_a_key_belong_to_it_and_around_all_else_do_not(store: Store) -> None:
    """A key is found exactly as it was given first; what was copied with blanks is found too."""
    bare = await store.create(key="room")
    blank = await store.create(key=" room ")
    for ref, meant in (
        ("room", bare),
        (" room ", blank),
        ("room ", bare),
        (f" {blank.id}\n", blank),
        (f" {blank.handle} ", blank),
        (" @ ", blank),
    ):
        assert (await store.find(ref)).id == meant.id
    await store.delete(" room ")
    assert (await store.undelete(" room ")).changed == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("ref", [5, None, b"@"])
async def test_what_is_no_text_names_no_conversation(store: Store, ref: Any) -> None:
    """It is not found, as any other name that nobody has."""
    with pytest.raises(ConversationNotFoundError):
        await store.find(ref)


@pytest.mark.asyncio
async def test_half_a_character_in_a_name_is_told(store: Store) -> None:
    """A lone surrogate, as a badly encoded command line gives, is no error of the database."""
    with pytest.raises(InvalidTextError):
        convostore.open(place(store), owner="caf\udce9")
    chat = await store.create()
    with pytest.raises(InvalidTextError):
        await chat.append(Message.user("x", author="caf\udce9"))
