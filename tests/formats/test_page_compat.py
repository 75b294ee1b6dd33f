"""The page in a browser: nothing in it runs, nothing is asked for, and the switch switches."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.formats import hostile
from tests.formats.conftest import BYTES, Shelf, export_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
# A picture of one pixel, so that a browser has something to show.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
pytestmark = [
    pytest.mark.compat,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here; on Debian: apt install chromium"),
]


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """Listen on this machine; yield the port, and what is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']}{self.path}")
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name that the library looks for

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def opened(page: Path, port: int, home: Path) -> str:
    """Open a page, every host being this machine, and return what became of it."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={home}"),
            *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
            f"--host-resolver-rules=MAP *.test 127.0.0.1:{port}",
            *("--virtual-time-budget=3000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    return done.stdout


async def picture(sha256: str) -> AsyncGenerator[bytes]:
    """Yield the bytes of any attachment."""
    del sha256
    yield PIXEL


@pytest.mark.asyncio
async def test_hostile_page_runs_no_script_and_asks_for_nothing(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corpus is opened; a page that does ask and run shows that both would be seen."""
    monkeypatch.setattr(shelf, "attachment", picture)
    shelf.put(*hostile.conversation())
    page, naive = tmp_path / "page.html", tmp_path / "naive.html"
    text = "".join([piece async for piece in export_text(shelf, None, format="html")])
    page.write_text(text, encoding="utf-8")
    script = "<script>document.title='PWNED'</script><img src=http://leak.test/seen>"
    naive.write_text(f"<title>quiet</title>{script}", encoding="utf-8")
    with listening() as (port, asked):
        dom = opened(page, port, tmp_path / "profile")
        assert (asked, re.findall(r"<title>PWNED", dom)) == ([], [])
        assert "<h1" in dom
        assert dom.count('<section class="m ') == 2 * len(hostile.TEXTS)
        assert "<title>PWNED" in opened(naive, port, tmp_path / "profile")
        assert asked == ["leak.test/seen"]
        assert BYTES not in page.read_bytes()


@pytest.mark.asyncio
async def test_switch_shows_the_chosen_branch_and_hides_the_rest(
    shelf: Shelf, tmp_path: Path
) -> None:
    """A script of the test's own, put in where the policy was, presses the button and looks."""
    shelf.put_rich()
    text = "".join([piece async for piece in export_text(shelf, None, format="html")])
    looking = """<script>addEventListener('load', () => {
      const seen = () => [...document.querySelectorAll('.m')].map(m => +m.checkVisibility()).join('')
      const before = seen()
      document.querySelector('.off > input').click()
      document.title = before + ' ' + seen()
    })</script></body>"""
    page = tmp_path / "page.html"
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    page.write_text(bare.replace("</body>", looking), encoding="utf-8")
    with listening() as (port, _):
        dom = opened(page, port, tmp_path / "profile")
    # The question; the failed answer, which stands beside the path; the answer on it. What follows.
    found = re.search(r"<title>(\w+) (\w+)</title>", dom)
    assert found is not None
    assert found.groups() == ("1011", "1100")
