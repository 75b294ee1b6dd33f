"""Files of other programs, imported into a store and exported again in their own format."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from convostore.errors import FormatError
from convostore.exchange.exporting import TextExport
from convostore.testing import temporary_store
from tests.exchange.test_fuzz import change, seeds
from tests.formats.counting import conversations
from tests.formats.samples import samples

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.store import Store

pytestmark = pytest.mark.usefixtures("temporary_place")

FILES = [
    pytest.param(app, one.values[0], id=one.id, marks=one.marks)
    for app, others in (
        (
            "chatgpt",
            (
                "librechat.chatgpt-citations.json",
                "librechat.chatgpt-export.json",
                "librechat.chatgpt-tree.json",
            ),
        ),
        ("claude", ()),
        ("openwebui", ("librechat.openwebui-export.json",)),
    )
    for one in samples(app, *others)
]


async def exported(store: Store, app: str) -> list[dict[str, Any]]:
    """Export all in a format, and return the conversations."""
    text = await store.export(format=app)
    assert isinstance(text, TextExport)
    found: list[dict[str, Any]] = json.loads("".join([piece async for piece in text]))
    assert text.report.losses == {}
    return found


def by_id(values: list[dict[str, Any]]) -> dict[str, Any]:
    """Return conversations by what their program calls them."""
    return {
        str(one.get("conversation_id") or one.get("id") or one.get("uuid")): one for one in values
    }


@pytest.mark.parametrize(("app", "file"), FILES)
@pytest.mark.asyncio
async def test_import_and_export_give_back_the_same_structure(app: str, file: Path) -> None:
    """Every key, null, number and order is as it was; so it is by way of our own export."""
    async with temporary_store() as store:
        kept = [one.source_id async for one in store.import_(file) if one.outcome == "added"]
        values = by_id(conversations(file))
        found = await exported(store, app)
        assert kept
        assert by_id(found) == {id_: values[id_] for id_ in kept if id_ is not None}
        copy = await store.export()
        assert isinstance(copy, TextExport)
        lines = "".join([piece async for piece in copy])
        own = store.for_owner("own")
        report = await own.import_(BytesIO(lines.encode())).finish()
        assert report.added == len(kept)
        assert by_id(await exported(own, app)) == by_id(found)


@pytest.mark.parametrize("app", ["chatgpt", "claude", "openwebui"])
@pytest.mark.asyncio
async def test_whatever_an_export_holds_goes_back_as_it_was(app: str) -> None:
    """Odd values, keys that are gone or unknown, pointers to nowhere: what is taken is given back."""
    values: list[Any] = []

    @given(st.data())
    @settings(max_examples=80, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def collect(data: st.DataObject) -> None:
        changed = change(data, data.draw(st.sampled_from(seeds(app))))
        changed[data.draw(st.sampled_from(["new", "chat", "title"]))] = None
        values.append(changed)

    collect()
    mended = {"numbers that", "halves of", "characters that", "messages that stand there again"}
    back = 0
    async with temporary_store() as store:
        for number, value in enumerate(values):
            raw = json.dumps([value]).encode()
            owner = store.for_owner(f"owner {number}")
            try:
                results = [one async for one in owner.import_(BytesIO(raw))]
            except FormatError:
                continue
            kept = [one for one in results if (one.outcome, one.source) == ("added", app)]
            whole = len(kept) == len(results) == 1
            if whole and not any(line.startswith(tuple(mended)) for line in kept[0].remarks):
                assert await exported(owner, app) == json.loads(raw)
                back += 1
        assert back > len(values) // 3
        assert (await store.check(deep=True)).problems == ()
