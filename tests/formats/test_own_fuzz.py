"""Exports of our own that somebody has changed: each conversation is taken or refused, never an error."""

from __future__ import annotations

import copy
import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from convostore.errors import FormatError
from convostore.exchange.reading import open_export
from convostore.formats.found import Opaque, Refused
from convostore.formats.own import OwnConversation
from convostore.testing import temporary_store
from tests.formats.test_own_round_trip import file_of, trees

pytestmark = pytest.mark.usefixtures("temporary_place")

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2**31,
        2**62,
        2**63,
        10**40,
        1.5,
        "",
        "x",
        "a\x00b",
        "\u202e",
        [],
        {},
        [1],
    ]
)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """Make an export in which something is gone, doubled, moved, or something else."""
    lines = file_of(draw(trees())).getvalue().split(b"\n")[:-1]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["value", "value", "value", "key", "line", "twice", "bytes"]))
        line = lines[at]
        if how in {"value", "key"}:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            held: Any = value
            key = draw(st.sampled_from(sorted(value)))
            while isinstance(held[key], dict) and held[key] and draw(st.booleans()):
                held = held[key]
                key = draw(st.sampled_from(sorted(held)))
            if how == "key":
                del held[key]
            else:
                held[key] = copy.deepcopy(draw(ODD))
            lines[at] = json.dumps(value).encode()
        elif how == "line":
            del lines[at]
        elif how == "twice":
            lines.insert(draw(st.integers(0, len(lines))), line)
        else:
            cut = draw(st.integers(0, len(line)))
            lines[at] = line[:cut] + draw(st.binary(max_size=4)) + line[cut + 1 :]
        if not lines:
            break
    return b"\n".join(lines) + b"\n"


@pytest.mark.asyncio
async def test_changed_export_is_taken_or_refused_on_any_engine() -> None:
    """What is taken can be read, searched and exported, and the store is sound afterwards."""
    seen: list[bytes] = []

    @given(changed())
    @settings(
        max_examples=80,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def collect(file: bytes) -> None:
        seen.append(file)

    collect()
    async with temporary_store() as store:
        outcomes: dict[str, int] = {}
        for number, file in enumerate(seen):
            owner = store.for_owner(f"owner {number}")
            try:
                async for result in owner.import_(BytesIO(file)):
                    outcomes[result.outcome] = outcomes.get(result.outcome, 0) + 1
                    assert result.outcome in {"added", "unchanged", "updated", "refused", "opaque"}
            except FormatError:
                outcomes["nothing"] = outcomes.get("nothing", 0) + 1
                continue
            for record in (await owner.list(limit=200)).items:
                await (await owner.resume(record.id)).messages()
            text = await owner.export()
            async for _ in text:  # type: ignore[union-attr] # a text, for no file is named
                pass
        assert {"added", "refused"} <= set(outcomes)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.only("sqlite", reason="what is only read reaches no engine")
@given(st.lists(st.binary(max_size=40) | changed(), max_size=3).map(b"".join))
@example(b'{"type":"conversation","id":"\x80"}\n{}\n')
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_bytes_behind_our_first_line_are_found_or_refused(rest: bytes) -> None:
    """Whatever follows, nothing else is raised than by name."""
    first = file_of([]).getvalue().split(b"\n")[0]
    with open_export(BytesIO(first + b"\n" + rest), format="convostore") as export:
        found = list(export)
    assert all(isinstance(one, OwnConversation | Refused | Opaque) for one in found)
    assert found
