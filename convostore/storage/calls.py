"""What model calls cost: a row for each, kept when the messages go; and their sums."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Double, bindparam, cast, func, literal_column, select

from convostore.records import Usage
from convostore.storage.canonical import to_json
from convostore.storage.kept import KEPT
from convostore.storage.owner_rows import OWNER_IS_THERE
from convostore.storage.rows import NANO
from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.statements import Hot, one_of, upsert
from convostore.storage.tables import conversation, usage
from convostore.tally import SPAN_MS, Sums, UsageReport, day_of, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.database import Database
    from convostore.storage.exchanges import Ended, FinishTurn
    from convostore.storage.statements import Tx
    from convostore.tally import By, Tally

_NUMBERS: Final = (
    usage.c.input_tokens,
    usage.c.output_tokens,
    usage.c.cached_tokens,
    usage.c.reasoning_tokens,
    usage.c.cost_nano,
)
_AT_ONCE: Final = 200  # conversations whose titles one read looks up
_row = upsert(usage)
# A call has one row under its reply's id: an end that comes after all replaces an unknown one.
KEEP_CALL: Final = Hot(
    _row.on_conflict_do_update(
        index_elements=["owner_id", "id"],
        set_={
            column.name: getattr(_row.excluded, column.name)
            for column in usage.c
            if column.name not in {"owner_id", "id"}
        },
    )
)
_GROUPS: Final[dict[By, Any]] = {
    # Spans that no day of any zone cuts: which day they are of is the reader's to say.
    "day": usage.c.created_at_ms // literal_column(str(SPAN_MS)),
    "model": usage.c.model,
    "provider": usage.c.provider,
    "conversation": usage.c.conversation_id,
}
_CONDITIONS: Final[dict[str, Any]] = {
    "since_ms": usage.c.created_at_ms >= bindparam("since_ms"),
    "until_ms": usage.c.created_at_ms < bindparam("until_ms"),
    "provider": usage.c.provider == bindparam("provider"),
    "model": usage.c.model == bindparam("model"),
    "conversation_id": usage.c.conversation_id == bindparam("conversation_id"),
}
_TITLES: Final = Hot(
    select(conversation.c.id, conversation.c.handle, conversation.c.title).where(
        conversation.c.owner_id == bindparam("owner_id"),
        *KEPT,
        one_of(conversation.c.id, "ids"),
    )
)


class CountCall(msgspec.Struct, frozen=True, kw_only=True):
    """A model call that is no reply's: it was asked for a title.

    Attributes:
        id: of the call, new.
        used: None is not reported.
    """

    id: str
    conversation_id: str
    provider: str
    model: str | None
    used: Usage | None
    now_ms: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are meant: those of which all holds that is named here."""

    since_ms: int | None = None
    until_ms: int | None = None
    provider: str | None = None
    model: str | None = None
    conversation_id: str | None = None


def call_row(owner_id: str, job: FinishTurn, end: Ended) -> dict[str, Any]:
    """Return the row of a call that has ended; what was not reported is NULL."""
    return {
        "owner_id": owner_id,
        "id": job.call_id,
        "conversation_id": job.conversation_id,
        "message_seq": end.message_seq,
        "provider": job.provider,
        "model": job.model,
        "created_at_ms": job.now_ms,
        **cost_columns(job.usage or Usage()),
    }


def count_calls(tx: Tx, owner_id: str, jobs: Sequence[CountCall]) -> list[None]:
    """Count calls that belong to no message; none of an owner who was erased meanwhile."""
    if tx.rows(OWNER_IS_THERE, owner_id=owner_id):
        tx.many(KEEP_CALL, [_title_row(owner_id, job) for job in jobs])
    return [None] * len(jobs)


def _title_row(owner_id: str, job: CountCall) -> dict[str, Any]:
    return {
        "owner_id": owner_id,
        "id": job.id,
        "conversation_id": job.conversation_id,
        "message_seq": TITLE_SEQ,
        "provider": job.provider,
        "model": job.model,
        "created_at_ms": job.now_ms,
        **cost_columns(job.used or Usage()),
    }


def cost_columns(used: Usage) -> dict[str, Any]:
    """Return what a call cost as its row has it; what was not reported is NULL."""
    return {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cached_tokens": used.cached_tokens,
        "reasoning_tokens": used.reasoning_tokens,
        "cost_nano": None if used.cost is None else round(used.cost * NANO),
    }


def unknown_call(
    owner_id: str, conversation_id: str, message_seq: int, now_ms: int, **values: Any
) -> dict[str, Any]:
    """Return the row of a call whose writer died: who was asked, and nothing of what it cost.

    Args:
        owner_id: whose.
        conversation_id: where.
        message_seq: the reply.
        now_ms: when it was closed.
        values: the reply's `id`, `provider` and `model`.
    """
    return {
        "owner_id": owner_id,
        "conversation_id": conversation_id,
        "message_seq": message_seq,
        "created_at_ms": now_ms,
        **values,
        **{column.name: None for column in _NUMBERS},
    }


@cache
def _sums(by: By, named: tuple[str, ...]) -> Hot:
    """Return the statement that adds up by *by* what fits the conditions that are named."""
    group = _GROUPS[by].label("name")
    # Summed as floating point numbers, which whole numbers below 2**53 are in exactly: what a far
    # side reported may be absurd, and integers would overflow.
    totals = [func.sum(cast(column, Double)) for column in _NUMBERS]
    return Hot(
        select(group, func.count(), *map(func.count, _NUMBERS), *totals)
        .where(
            usage.c.owner_id == bindparam("owner_id"),
            *(_CONDITIONS[name] for name in named),
        )
        .group_by(group)
    )


async def report(database: Database, owner_id: str, by: By, wanted: Wanted) -> UsageReport:
    """Add up what an owner's calls came to, one group for each day, model or what *by* says.

    It goes through all of the owner's calls: a second or two for a million.
    """
    values = {
        name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None
    }
    total, groups = Sums(), dict[str | None, Sums]()
    rows = await database.read(_sums(by, tuple(values)), owner_id=owner_id, **values)
    for name, calls, *numbers in rows:
        known, totals = numbers[: len(_NUMBERS)], numbers[len(_NUMBERS) :]
        totals[-1] = totals[-1] and totals[-1] / NANO
        key = day_of(name * SPAN_MS) if by == "day" else name
        groups.setdefault(key, Sums()).add(calls, known, totals)
        total.add(calls, known, totals)
    tallies = [sums.tally(name) for name, sums in groups.items()]
    if by == "conversation":
        tallies = await _titled(database, owner_id, tallies)
    return UsageReport(by=by, total=total.tally(None), rows=in_order(tallies, by))


async def _titled(database: Database, owner_id: str, tallies: list[Tally]) -> list[Tally]:
    """Name the conversations that are still there."""
    titles: dict[str, tuple[str, str | None]] = {}
    for at in range(0, len(tallies), _AT_ONCE):
        ids = to_json([one.name for one in tallies[at : at + _AT_ONCE]])
        rows = await database.read(_TITLES, owner_id=owner_id, ids=ids)
        titles |= {id_: (handle, title) for id_, handle, title in rows}
    return [
        msgspec.structs.replace(one, handle=titles[one.name][0], title=titles[one.name][1])
        if one.name in titles
        else one
        for one in tallies
    ]
