"""A package of somebody else's that brings providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
from convostore.errors import ProviderError
from convostore.events import Finished, TextDelta
from convostore.providers import ModelInfo
class Parrot:
    name = "parrot"
    def check(self, request): pass
    async def stream(self, request):
        yield TextDelta(request.messages[-1].text.upper())
        yield Finished(finish_reason="stop")
    async def recover(self, remote, anonymous_user_id): return None
    async def models(self): return []
    async def aclose(self): pass
class Other(Parrot):
    name = "other"
class Mute(Parrot):
    name = "mute"
    async def models(self): raise KeyError("models")
class Counted(Parrot):
    name = "counted"
    async def models(self): return [1]
class Vague(Parrot):
    name = "vague"
    async def models(self): return [ModelInfo(id="v", name=None)]
class Plain(Parrot):
    name = "plain"
    def models(self): return []
class Nameless(Parrot):
    @property
    def name(self): raise ValueError("two\\nlines")
class Numbered(Parrot):
    name = 7
class Shy(Parrot):
    @property
    def stream(self): raise ValueError("shy")
class Rude(Parrot):
    name = "rude"
    async def aclose(self): raise ValueError("no")
class Untold(Exception):
    def __str__(self): raise ValueError
class Half:
    name = "half"
    def check(self, request): pass
number = 7
def fails(): raise RuntimeError("two\\nlines")
def exits(): raise SystemExit(3)
def mutters(): raise Untold
def refuses(): raise ProviderError("no key", provider="parrot")
"""


def install(folder: Path, package: str, *points: str) -> None:
    """Put a package with entry points into a folder where Python looks."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[convostore.providers]", *points]))
    (folder / "parrots.py").write_text(PLUGIN)
    (folder / "broken.py").write_text("import nothing_of_that_name")
