"""What search prints: two lines a hit for people, a line with tabs for programs, or JSON."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from convostore.cli.terminal import BOLD, DIM, FOUND, counted, is_terminal, one_line, say, styled

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from convostore import records
    from convostore.storage import fastsearch, searching

    Hit: TypeAlias = records.SearchHit | searching.Hit
    Page: TypeAlias = records.SearchPage | fastsearch.Page

_INDENT = "  "


def print_page(
    page: Page,
    *,
    as_json: bool,
    count: int,
    most: int,
    all_branches: bool,
    command: Callable[..., str],
) -> None:
    """Print a page of hits; what else there is to say goes to stderr.

    Args:
        page: of at most *count* hits.
        as_json: one JSON document.
        count: how many were asked for.
        most: how many may be.
        all_branches: it was looked everywhere.
        command: makes the command line that runs words on the same store.
    """
    if as_json:
        from convostore.cli import shapes

        sys.stdout.write(shapes.to_text(document(page)))
    elif is_terminal(sys.stdout):
        from convostore import clock

        now_ms = clock.now_ms()
        sys.stdout.write("\n".join(_for_people(hit, now_ms) for hit in page.items))
    else:
        sys.stdout.writelines(f"{tab_line(hit)}\n" for hit in page.items)
    sys.stdout.flush()
    for remark in page.remarks:
        say(f"note: {remark}")
    if page.unindexed:
        say(
            f"note: {counted(page.unindexed, 'turn')} may be missing here: what is still being"
            " written is indexed when it has ended, everything else now by:"
            f" {command('db', 'reindex')}"
        )
    if not as_json and is_terminal(sys.stdout):
        if not page.items:
            elsewhere = "" if all_branches else "; --all-branches looks in other branches, too"
            say(f"nothing found{elsewhere}")
        if page.next_cursor is not None:
            wider = f"-n {min(count * 2, most)}"
            say(f"there is more: add {wider if count < most else f'--cursor {page.next_cursor}'}")


def document(page: Page) -> dict[str, Any]:
    """Return a page as `search --json` shows it."""
    return {
        "hits": [_shape(hit) for hit in page.items],
        "next_cursor": page.next_cursor,
        "unindexed": page.unindexed,
        "remarks": list(page.remarks),
    }


def tab_line(hit: Hit) -> str:
    """Return *hit* as one line of text for other programs."""
    at = datetime.fromtimestamp(hit.created_at_ms // 1000, UTC)
    fields = (
        hit.handle,
        str(hit.seq),
        hit.role,
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        hit.title or "",
        hit.excerpt,
    )
    return "\t".join(one_line(field) for field in fields)


def _shape(hit: Hit) -> dict[str, Any]:
    return {
        "conversation_id": hit.conversation_id,
        "handle": hit.handle,
        "title": hit.title,
        "message_id": hit.message_id,
        "seq": hit.seq,
        "role": hit.role,
        "status": hit.status,
        "excerpt": hit.excerpt,
        "marks": [list(mark) for mark in hit.marks],
        "created_at_ms": hit.created_at_ms,
        "score": hit.score,
    }


def _for_people(hit: Hit, now_ms: int) -> str:
    from convostore.cli.page import age

    place = hit.handle if not hit.seq else f"{hit.handle} {hit.seq}"
    facts = [hit.role, age(now_ms - hit.created_at_ms, hit.created_at_ms)]
    if hit.status not in {None, "completed"}:
        facts.insert(1, str(hit.status))
    title = one_line(hit.title or "(no title)")
    about = styled(one_line("  ".join(facts)), sys.stdout, DIM)
    head = f"{styled(one_line(place), sys.stdout, BOLD)}  {title}  {about}"
    return f"{head}\n{_INDENT}{_marked(hit)}\n"


def _marked(hit: Hit) -> str:
    """Return the excerpt, escaped, what was searched for in colour."""
    shown, at = [], 0
    for start, end in hit.marks:
        shown.append(one_line(hit.excerpt[at:start]))
        shown.append(styled(one_line(hit.excerpt[start:end]), sys.stdout, FOUND))
        at = end
    return "".join((*shown, one_line(hit.excerpt[at:])))
