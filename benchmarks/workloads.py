"""The registry of workloads: what is done, to which systems, in which place; quick and full."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from benchmarks.systems import BY_ASYNCPG, LIMIT, ON_A_SERVER, OURS, SAME, STREAM, UNJOURNALED

Place: TypeAlias = Literal["disk", "memory", "server"]
Command: TypeAlias = dict[str, Any]

SERVER = "@server"  # in a command: the paced server's URL
RATE = 50  # deltas a second
FAR_PAGE = 1_000
SEED = 1  # of the libraries: every run makes the same texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing that is measured.

    Attributes:
        id: as the recording and the goals name it.
        title: for people.
        measure: the worker's command.
        within_s: how long it may take.
        place: where the file lies: the disk, or memory that looks like one; or a database of a
            PostgreSQL server whose files lie on the disk.
        systems: whom it is for; empty is everybody who has the verbs.
        verbs: what an adapter needs for it.
        shelf: the name of a file that is filled once and kept for all repeats.
        prepare: the commands that fill it.
        processes: how many write to the same file at once.
    """

    id: str
    title: str
    measure: Command
    within_s: float = 60.0
    place: Place = "memory"
    systems: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    shelf: str = ""
    prepare: tuple[Command, ...] = ()
    processes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything.

    Attributes:
        stored: conversations in the big store of the list.
        messages_each: in each of them.
        peers_long: peers too are tried on long conversations and in several processes.
        library: messages of the library, of conversations as long as chats are.
        ones: conversations of one message each, of another library.
        huge: messages of a third, on the disk; 0 is none.
        imported: messages of a file that is imported.
    """

    name: str
    repeats: int
    write_s: float
    read_s: float
    together_s: float
    stored: int
    messages_each: int
    deltas: int
    streams_s: float
    firsts: int
    commands: int
    server_s: float
    peers_long: bool
    library: int
    ones: int
    huge: int
    imported: int
    lengths: tuple[int, ...] = field(default=(10, 1_000, 10_000))


QUICK = Scale(
    name="quick",
    repeats=3,
    write_s=0.2,
    read_s=0.1,
    together_s=0.6,
    stored=100_000,
    messages_each=0,
    deltas=100,
    streams_s=2.0,
    firsts=30,
    commands=20,
    server_s=0.6,
    peers_long=False,
    library=4_000,
    ones=4_000,
    huge=0,
    imported=40_000,
)
FULL = Scale(
    name="full",
    repeats=5,
    write_s=0.6,
    read_s=0.5,
    together_s=3.0,
    stored=1_000_000,
    messages_each=10,
    deltas=2_000,
    streams_s=20.0,
    firsts=100,
    commands=40,
    server_s=3.0,
    peers_long=True,
    library=1_000_000,
    ones=1_000_000,
    huge=10_000_000,
    imported=400_000,
)
_OWN = (OURS, SAME, LIMIT)


def workloads(scale: Scale) -> tuple[Workload, ...]:
    """Return what is measured at that scale."""
    return (
        *_writes(scale),
        *_together(scale),
        *_growth(scale),
        *_reads(scale),
        *_libraries(scale),
        *_imports(scale),
        *_streams(scale),
        *_on_a_server(scale),
    )


def _writes(scale: Scale) -> list[Workload]:
    places: tuple[Place, ...] = ("disk", "memory")
    return [
        Workload(
            id=f"{operation}-{tasks}-{place}",
            title=f"{title}, {tasks} task{'s' * (tasks > 1)}, {place}",
            place=place,
            verbs=(operation,),
            measure={
                "do": "write",
                "operation": operation,
                "tasks": tasks,
                "seconds": scale.write_s,
                "turns_each": 8,
            },
        )
        for operation, title in (("append", "append of both messages"), ("turn", "a turn"))
        for tasks in (1, 64)
        for place in places
    ]


def _together(scale: Scale) -> list[Workload]:
    return [
        Workload(
            id=f"together-{processes}x{tasks}",
            title=f"{processes} processes on one file, {tasks} task{'s' * (tasks > 1)} each",
            place="disk",
            systems=() if scale.peers_long else _OWN,
            verbs=("append", "count"),
            processes=processes,
            measure={
                "do": "write",
                "operation": "append",
                "tasks": tasks,
                "seconds": scale.together_s,
                "turns_each": 10_000,
            },
        )
        for processes, tasks in ((4, 1), (4, 16), (8, 16))
    ]


def _growth(scale: Scale) -> list[Workload]:
    """Return appends to conversations of several lengths, and in a store with many of them."""
    measure = {"do": "repeat", "verb": "append", "seconds": scale.read_s, "texts": True}
    found = [
        Workload(
            id=f"grow-{length}",
            title=f"append to a conversation of {length:,} messages",
            systems=() if scale.peers_long else _OWN,
            verbs=("append", "fill"),
            shelf=f"grow-{length}",
            prepare=({"do": "fill", "chat": "long", "arguments": [length]},),
            measure={**measure, "chat": "long"},
            within_s=120.0,
        )
        for length in scale.lengths
    ]
    for stored, messages_each in ((1_000, 0), (scale.stored, scale.messages_each)):
        found.append(
            Workload(
                id=f"crowd-{_size(stored)}",
                title=f"append, {stored:,} conversations stored",
                systems=(OURS, SAME),
                verbs=("shelve", "fill"),
                shelf=f"shelf-{stored}",
                prepare=_shelf(stored, messages_each),
                measure={**measure, "chat": "short"},
                within_s=120.0,
            )
        )
    return found


def _reads(scale: Scale) -> list[Workload]:
    found = [
        Workload(
            id=f"load-{length}",
            title=f"load {length:,} messages",
            verbs=("load", "fill"),
            shelf=f"load-{length}",
            prepare=({"do": "fill", "chat": "long", "arguments": [length]},),
            measure={"do": "repeat", "verb": "load", "chat": "long", "seconds": scale.read_s},
            within_s=120.0,
        )
        for length in (10, 1_000)
    ]
    big = scale.stored
    for id_, title, verb, stored in (
        ("newest-few", "the newest 50 of 1,000 conversations", "newest", 1_000),
        ("newest-many", f"the newest 50 of {big:,} conversations", "newest", big),
        ("far-page", f"page 1,000 of {big:,} conversations, by key", "far", big),
    ):
        found.append(
            Workload(
                id=id_,
                title=title,
                systems=(OURS, SAME),
                verbs=("shelve", verb),
                shelf=f"shelf-{stored}",
                prepare=_shelf(stored, scale.messages_each if stored == big else 0),
                measure={"do": "repeat", "verb": verb, "seconds": scale.read_s},
            )
        )
    found.append(
        Workload(
            id="open-many",
            title=f"open a store of {big:,} conversations, as far as its first page",
            systems=(OURS,),
            shelf=f"shelf-{big}",
            prepare=_shelf(big, scale.messages_each),
            measure={"do": "once", "verb": "openings", "arguments": [10]},
        )
    )
    return found


def _libraries(scale: Scale) -> list[Workload]:
    """Return what is measured on libraries: (A) chats, (B) one message each, and a huge (A)."""
    found = _library("library", scale.library, one_each=False)
    found += _library("ones", scale.ones, one_each=True)
    if scale.huge:
        found += _library("huge", scale.huge, one_each=False, place="disk")
    return found


def _library(
    name: str, messages: int, *, one_each: bool, place: Place = "memory"
) -> list[Workload]:
    far = min(FAR_PAGE, (messages if one_each else messages // 20) // 50 - 2)
    what = f"{messages:,} messages" + (", each a conversation" if one_each else "")
    common: dict[str, Any] = {
        "place": place,
        "systems": (OURS,),
        "shelf": f"{name}-{messages}",
        "prepare": (
            {"do": "once", "verb": "library", "arguments": [messages, one_each, SEED, far]},
            {"do": "fill", "chat": "short", "arguments": [10]},
            {"do": "fill", "chat": "hundred", "arguments": [100]},
        ),
        "within_s": 120.0,
    }
    repeated: dict[str, tuple[str, Command]] = {
        "first": (f"the newest 50 of {what}", {"verb": "newest"}),
        "far": (f"page {far:,} of {what}, by key", {"verb": "far"}),
        "rare": (f"search for a rare word in {what}", {"verb": "rare"}),
        "common": (f"search for a common word in {what}, ranked", {"verb": "common"}),
        "common-newest": (
            f"search for a common word in {what}, newest first",
            {"verb": "common_newest"},
        ),
        "everywhere": (f"search for a word of most of {what}, ranked", {"verb": "everywhere"}),
        "resume": (
            f"resume and load 100 messages among {what}",
            {"verb": "resume", "chat": "hundred"},
        ),
        "raw": (
            f"the raw rows of 100 messages among {what}",
            {"verb": "raw_rows", "chat": "hundred"},
        ),
        "append": (f"append among {what}", {"verb": "append", "chat": "short", "texts": True}),
    }
    once = {
        "facts": (f"bytes of {what}", "facts", []),
        "at-once": (f"search for what was just committed among {what}", "found_at_once", [20]),
    }
    return [
        *(
            Workload(
                id=f"{name}-{id_}",
                title=title,
                measure={"do": "repeat", "seconds": 0.1, **measure},
                **common,
            )
            for id_, (title, measure) in repeated.items()
        ),
        *(
            Workload(
                id=f"{name}-{id_}",
                title=title,
                measure={"do": "once", "verb": verb, "arguments": arguments},
                **common,
            )
            for id_, (title, verb, arguments) in once.items()
        ),
    ]


def _imports(scale: Scale) -> list[Workload]:
    return [
        Workload(
            id="import",
            title=f"import of {scale.imported:,} messages from a file of ChatGPT's",
            place="disk",
            systems=(OURS,),
            within_s=600.0,
            measure={"do": "once", "verb": "imports", "arguments": [scale.imported]},
        )
    ]


def _shelf(stored: int, messages_each: int) -> tuple[Command, ...]:
    """Return how a store of many conversations is filled; the far page is the last of a small one."""
    far = min(FAR_PAGE, stored // 50 - 1)
    return (
        {"do": "once", "verb": "shelve", "arguments": [stored, messages_each, far]},
        {"do": "fill", "chat": "short", "arguments": [10]},
    )


def _streams(scale: Scale) -> list[Workload]:
    both = (OURS, STREAM)
    long = f"{SERVER}?deltas={scale.deltas}&rate={RATE}"
    many = f"{SERVER}?deltas={int(scale.streams_s * RATE)}&rate={RATE}"
    return [
        Workload(
            id="stream-one",
            title=f"one reply of {scale.deltas:,} deltas at {RATE} a second",
            place="disk",
            systems=both,
            within_s=scale.deltas / RATE * 2 + 30,
            measure={"do": "once", "verb": "one_stream", "arguments": [long]},
        ),
        Workload(
            id="stream-200",
            title=f"200 replies at once, {RATE} deltas a second each",
            place="disk",
            systems=(*both, UNJOURNALED),
            within_s=scale.streams_s * 4 + 30,
            measure={
                "do": "once",
                "verb": "many_streams",
                "arguments": [many, 200, scale.streams_s],
            },
        ),
        Workload(
            id="stream-first",
            title="time to the first delta",
            place="disk",
            systems=both,
            measure={
                "do": "once",
                "verb": "first_delta",
                "arguments": [f"{SERVER}?deltas=2&rate=2000", scale.firsts],
            },
        ),
    ]


def _on_a_server(scale: Scale) -> list[Workload]:
    return [
        Workload(
            id=f"{operation}-{tasks}-server",
            title=f"{title}, {tasks} task{'s' * (tasks > 1)}, PostgreSQL",
            place="server",
            systems=(ON_A_SERVER, BY_ASYNCPG),
            verbs=(operation,),
            measure={
                "do": "write",
                "operation": operation,
                "tasks": tasks,
                "seconds": scale.server_s,
                "turns_each": 8,
            },
        )
        for operation, title in (("append", "append of both messages"), ("turn", "a turn"))
        for tasks in (1, 64)
    ]


def _size(stored: int) -> str:
    return "few" if stored <= 1_000 else "many"
