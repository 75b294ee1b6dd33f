"""Conversations of another program for tests: a few messages, told in a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage
from convostore.parts import TextPart
from tests.engines import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore import ImportReport, ImportResult, Store
    from convostore.exchange.importing import Import
    from convostore.formats.found import Found
    from tests.engines import Where


def said(id_: str, parent: str | None, text: str | None = None, **more: Any) -> ForeignMessage:
    """Return a message; whose id begins with u is the user's."""
    text = f"text of {id_}" if text is None else text
    raw = json.dumps({"id": id_, "said": text}).encode()
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role="user" if id_.startswith("u") else "assistant",
        **{"raw": raw, "parts": (TextPart(text),)} | more,
    )


def foreign(
    id_: str, messages: Sequence[ForeignMessage] | int = 2, **more: Any
) -> ForeignConversation:
    """Return a conversation of that id: of given messages, or of so many that follow each other."""
    if isinstance(messages, int):
        names = [f"{'ua'[at % 2]}{at}" for at in range(messages)]
        messages = [said(name, names[at - 1] if at else None) for at, name in enumerate(names)]
    return ForeignConversation(
        **{
            "source": "chatgpt",
            "source_id": id_,
            "messages": tuple(messages),
            "head": messages[-1].source_id if messages else None,
            "title": f"Title {id_}",
            "raw": msgspec.json.encode({"id": id_, "count": len(messages)}),
        }
        | more
    )


async def take(store: Store, *found: Found, **how: Any) -> tuple[list[ImportResult], ImportReport]:
    """Import records; return the results and the report, whose numbers add up."""
    run: Import = store.import_(found, **how)
    results = [result async for result in run]
    report = run.report
    outcomes = msgspec.structs.asdict(report)
    for name in ("records", "messages", "dry_run"):
        del outcomes[name]
    assert sum(outcomes.values()) == report.records == len(results) == len(found)
    return results, report


def everything(path: Where) -> list[list[tuple[Any, ...]]]:
    """Return all rows that an import writes."""
    tables = ("conversation", "message", "source_record", "tag", "tombstone", "search_pending")
    return [sorted(rows(path, f"SELECT * FROM {one}"), key=repr) for one in tables]
