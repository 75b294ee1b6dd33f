"""A rule on how long conversations are kept: by age, tag and pin; first as a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.errors import InvalidTextError
from convostore.retention import Retention

if TYPE_CHECKING:
    from convostore import Store
    from convostore.testing import ManualClock

DAY_S = 86400.0


async def titles(store: Store, ids: tuple[str, ...], *, deleted: bool = False) -> list[str | None]:
    """Return the titles of ids."""
    return [one.title async for one in store.records(ids, deleted=deleted)]


@pytest.mark.asyncio
async def test_rule_moves_the_old_to_the_bin_and_the_long_binned_out_of_it(
    store: Store, manual: ManualClock
) -> None:
    """By activity on the list and by deletion in the bin; what went today stays there for its time."""
    start_ms = manual.now_ms()
    for title in ("old", "pinned", "archived", "tagged", "spared", "active", "binned"):
        await store.create(title=title, key=title)
    await (await store.resume("pinned")).pin()
    await (await store.resume("archived")).archive()
    await (await store.resume("tagged")).tag("draft")
    await (await store.resume("spared")).tag("Draft", "work")
    await store.delete("binned")
    manual.set_wall(start_ms + round(10 * DAY_S * 1000))
    await (await store.resume("active")).append(Message.user("q"))
    rule = Retention(delete_after_s=10 * DAY_S, purge_after_s=10 * DAY_S, keep_tags=("WORK",))
    tried = await store.retain(rule, dry_run=True)
    assert await titles(store, tried.to_bin) == []  # not older than ten days, but just so old
    manual.set_wall(manual.now_ms() + 1)
    tried = await store.retain(rule, dry_run=True)
    assert sorted(await titles(store, tried.to_bin)) == ["archived", "old", "tagged"]  # type: ignore[type-var] # all have titles
    assert await titles(store, tried.to_purge, deleted=True) == ["binned"]
    assert (tried.binned, tried.purged.changed) == (0, 0)
    assert len(await store.matching(archived=None)) == 6
    drafts = await store.retain(
        Retention(delete_after_s=DAY_S, tags=("draft",), archived=False), dry_run=True
    )
    assert await titles(store, drafts.to_bin) == ["spared", "tagged"]
    report = await store.retain(rule)
    assert (report.to_bin, report.to_purge) == (tried.to_bin, tried.to_purge)
    assert (report.binned, report.purged.changed) == (3, 1)
    left = await titles(store, await store.matching(archived=None))
    assert left == ["pinned", "active", "spared"]
    again = await store.retain(rule)
    assert (again.to_bin, again.to_purge, again.binned, again.purged.found) == ((), (), 0, 0)
    manual.set_wall(manual.now_ms() + round(10 * DAY_S * 1000))
    report = await store.retain(Retention(purge_after_s=10 * DAY_S))
    assert (report.binned, report.purged.changed) == (0, 3)
    assert await store.matching(deleted=True) == ()


@pytest.mark.asyncio
async def test_pinned_ones_go_only_where_the_rule_says_so(
    store: Store, manual: ManualClock
) -> None:
    """Neither to the bin nor out of it; what has expired goes with any rule."""
    for title in ("one", "two"):
        chat = await store.create(title=title)
        await chat.pin()
    await store.delete([chat.id])
    await store.create(title="short", expires_at_ms=manual.now_ms() + 1)
    manual.set_wall(manual.now_ms() + round(DAY_S * 1000))
    rule = Retention(delete_after_s=0, purge_after_s=0)
    report = await store.retain(rule)
    assert (report.binned, report.purged.found, report.expired.changed) == (0, 0, 1)
    report = await store.retain(Retention(delete_after_s=0, purge_after_s=0, pinned=True))
    assert (report.binned, report.purged.changed) == (1, 1)


@pytest.mark.asyncio
async def test_what_was_not_agreed_to_stays(store: Store, manual: ManualClock) -> None:
    """Between a trial and the rule one grows old, one is gone on with, one comes back from the bin."""
    chats = {title: await store.create(title=title) for title in ("a", "b", "c", "d")}
    await chats["c"].delete()
    manual.set_wall(manual.now_ms() + 2000)
    late = await store.create(title="late")
    rule = Retention(delete_after_s=1, purge_after_s=1)
    tried = await store.retain(rule, dry_run=True)
    assert (len(tried.to_bin), len(tried.to_purge)) == (3, 1)
    await chats["b"].append(Message.user("q"))
    await chats["c"].undelete()
    await chats["d"].delete()
    manual.set_wall(manual.now_ms() + 1001)
    await chats["b"].append(Message.user("q"))
    report = await store.retain(rule, agreed=tried)
    assert report.to_bin == (chats["a"].id,)
    assert report.to_purge == ()
    assert set(await store.matching()) == {chats["b"].id, chats["c"].id, late.id}


@pytest.mark.asyncio
async def test_rule_that_means_nothing_is_refused(store: Store) -> None:
    """Without a time, with one below 0, with a tag that is none; nothing changes."""
    await store.create(title="one")
    for rule in (Retention(), Retention(delete_after_s=-1), Retention(purge_after_s=-0.5)):
        with pytest.raises(ValueError, match="a rule names"):
            await store.retain(rule)
    with pytest.raises(InvalidTextError):
        await store.retain(Retention(delete_after_s=0, keep_tags=(" ",)))
    assert len((await store.list()).items) == 1
    nobody = await store.for_owner("nobody").retain(Retention(delete_after_s=0))
    assert (nobody.to_bin, nobody.binned) == ((), 0)
