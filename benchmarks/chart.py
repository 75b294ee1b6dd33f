"""The chart: how many turns a second each system keeps, of the bare limit, as an SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.recording import per_second
from benchmarks.systems import LIMIT, OURS, ours_at, same_at
from benchmarks.tables import figure

if TYPE_CHECKING:
    from benchmarks.recording import Recording

WIDTH, LABEL, BAR, GAP = 760, 320, 18, 7  # pixels
PANELS = (
    ("append-1-disk", "One task at a time, on disk"),
    ("append-64-disk", "64 tasks at once, on disk"),
    ("append-1-server", "One task at a time, PostgreSQL; 1 is asyncpg by hand"),
    ("append-64-server", "64 tasks at once, PostgreSQL; 1 is asyncpg by hand"),
)
MOST_BARS = 9
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .note { font-size: 12px; fill: #57606a }
  .ours { fill: #1f6feb } .hand { fill: #8c959f } .peer { fill: #c9a15a }
  .axis { stroke: #8c959f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 }
    .ours { fill: #58a6ff } .hand { fill: #6e7681 } .peer { fill: #b5883e }
  }
"""


def chart(run: Recording) -> str:
    """Return the chart of a recording."""
    y, parts = 24, []
    parts.append(_text(0, y, "Appends of a turn a second, of sqlite3 by hand", "title"))
    y += 20
    note = "1 is the lightest schema in a plain loop; every turn synced to disk before it counts"
    parts.append(_text(0, y, note, "note"))
    for workload, title in PANELS:
        bars = shares(run, workload)
        if not bars:
            continue
        y += 34
        parts.append(_text(0, y, title, "title"))
        y += 12
        top = y
        for system, share in bars:
            parts.append(_bar(y, system, share, _kind(run, system)))
            y += BAR + GAP
        parts.append(f'<path class="axis" d="M{LABEL} {top - 2}V{y}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" '
        f'width="{WIDTH}" height="{y + 10}" role="img" '
        'aria-label="Appends a second of several chat stores, of sqlite3 by hand">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def shares(run: Recording, workload: str) -> list[tuple[str, float]]:
    """Return each system's share of the limit, the highest first; the slowest peers are left out.

    On a server, which has no bare limit, of the same by hand.
    """
    ours = ours_at(workload)
    limit = (workload, LIMIT if ours == OURS else same_at(workload))
    found = [
        (system, share)
        for system in run.systems(workload)
        if (share := run.ratio((workload, system), limit, per_second)) is not None
    ]
    found.sort(key=lambda one: -one[1])
    kept = found[:MOST_BARS]
    return (
        kept if any(one[0] == ours for one in kept) else kept + [o for o in found if o[0] == ours]
    )


def _kind(run: Recording, system: str) -> str:
    kind = run.data["systems"].get(system, {}).get("kind", "peer")
    return {"ours": "ours", "by hand": "hand"}.get(kind, "peer")


def _bar(y: int, system: str, share: float, kind: str) -> str:
    room = WIDTH - LABEL - 60
    length = max(1.0, min(share, 1.15) * room / 1.15)
    middle = y + BAR - 5
    return (
        _text(LABEL - 8, middle, system, "", anchor="end")
        + f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        + _text(LABEL + length + 6, middle, figure(share), "note")
    )


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
