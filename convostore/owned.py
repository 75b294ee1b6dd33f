"""One owner's part of a store: who that is there, found once, made with the first thing kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore import clock
from convostore.storage import lookup
from convostore.storage.conversations import EnsureOwner, ensure_owners

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convostore.storage.database import Database
    from convostore.turning.place import Opened


class Owned:
    """Where one owner's rows are.

    Attributes:
        name: the owner's; None is the store's personal owner.
        swept_s: when what has expired was last looked for, by the monotonic clock.
    """

    def __init__(self, opened: Callable[[], Awaitable[Opened]], name: str | None) -> None:
        self.name = name
        self._opened = opened
        self._id: str | None = None
        self.swept_s: float | None = None

    async def for_reading(self) -> tuple[Database, str] | None:
        """Return the database and the owner's id in it; None while the owner has nothing there.

        Raises:
            StoreError: the store cannot be opened or read.
        """
        database = (await self._opened()).database
        if self._id is None:
            self._id = await lookup.owner_named(database, self.name)
        return None if self._id is None else (database, self._id)

    async def for_writing(self) -> tuple[Database, str]:
        """Return the same, for an owner who is made where there is none.

        Raises:
            StoreError: the store cannot be opened, read or written.
        """
        found = await self.for_reading()
        if found is not None:
            return found
        database = (await self._opened()).database
        job = EnsureOwner(name=self.name, now_ms=clock.now_ms())
        self._id = str(await database.write(ensure_owners, "", job))
        return database, self._id

    def forget(self) -> None:
        """Look the owner up again: the one that was known was erased."""
        self._id = None
