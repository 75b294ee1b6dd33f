"""Where a store is, and opening it once for all owners that look at it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from convostore.errors import StoreClosedError
from convostore.storage import engines
from convostore.storage.address import address_of
from convostore.turning.afterwards import LAST_WRITE_S, close_provider, in_spite_of_cancel
from convostore.turning.lines import Lines
from convostore.turning.place import Opened, Patience
from convostore.turning.pulse import Pulse

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.providers.provider import Provider
    from convostore.storage.address import Server
    from convostore.storage.database import Database
    from convostore.storage.memory import MemoryDatabase
    from convostore.views.tokens import CountTokens
    from convostore.views.window import Window


def where_is(url: str | Path | None) -> Path | Server:
    """Return the file or the database that a store's URL names.

    Raises:
        StoreOpenError: it is a URL of another kind.
        UsageError: it is None, and the configuration cannot be read.
    """
    if url is None:
        from convostore import config

        url = config.load().store
    return address_of(url)


class Opener:
    """Opens the database once, for all owners that look at it.

    Attributes:
        memory: where ephemeral conversations are; None while there was none.
        lines: where those stand who ask for the conversation of a key.
    """

    def __init__(
        self,
        *,
        where: Path | Server,
        provider: Provider | None,
        migrate: bool,
        create: bool,
        busy_timeout_s: float,
        patience: Patience,
        most_attachment_bytes: int,
        window: Window,
        count_tokens: CountTokens,
    ) -> None:
        self.where, self.provider = where, provider
        self._migrate, self._create = migrate, create
        self._busy_timeout_s, self._patience = busy_timeout_s, patience
        self.most_attachment_bytes = most_attachment_bytes
        self._window, self._count_tokens = window, count_tokens
        self._pulse, self.lines = Pulse(), Lines()
        self._opened: Opened | None = None
        self._in_memory: Opened | None = None
        self.memory: MemoryDatabase | None = None
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._pid = os.getpid()
        self._lock = asyncio.Lock()

    async def opened(self) -> Opened:
        """Open the store at the first call, and return what its conversations share.

        Raises:
            StoreError: it cannot be opened; see `Store.__aenter__`.
            StoreClosedError: it is closed.
        """
        if self._opened is None or self._closed:
            async with self._lock:
                if self._closed:
                    raise StoreClosedError("the store is closed")
                if self._opened is None:
                    database = await engines.open_database(
                        self.where,
                        create=self._create,
                        migrate=self._migrate,
                        busy_timeout_s=self._busy_timeout_s,
                    )
                    self._opened = self._around(database)
        return self._opened

    async def in_memory(self) -> Opened:
        """Make the store of ephemeral conversations at the first call; it goes with this one.

        Raises:
            StoreClosedError: the store is closed.
        """
        if self._in_memory is None or self._closed:
            async with self._lock:
                if self._closed:
                    raise StoreClosedError("the store is closed")
                if self._in_memory is None:
                    memory = await engines.open_in_memory(busy_timeout_s=self._busy_timeout_s)
                    self.memory, self._in_memory = memory, self._around(memory)
        return self._in_memory

    def _around(self, database: Database) -> Opened:
        return Opened(
            database,
            self._pulse,
            self._patience,
            self.most_attachment_bytes,
            window=self._window,
            count_tokens=self._count_tokens,
        )

    async def aclose(self) -> None:
        """Stop what runs, close the database and the provider. Idempotent.

        It is done once and to its end, whoever waits for it; a caller who is cancelled waits
        `LAST_WRITE_S` more at most, and it goes on behind him. In a process that was forked since
        the store was opened it does nothing: the store is its parent's.
        """
        if self._pid != os.getpid():
            return
        closing = self._closing
        if closing is None or closing.cancelled() or closing.get_loop().is_closed():
            closing = self._closing = asyncio.get_running_loop().create_task(self._close())
        await in_spite_of_cancel(closing, LAST_WRITE_S)

    async def _close(self) -> None:
        async with self._lock:
            self._closed = True
        try:
            try:
                await self._pulse.aclose()
            finally:
                for opened in filter(None, (self._in_memory, self._opened)):
                    await opened.database.aclose()
        finally:
            if self.provider is not None:
                await close_provider(self.provider)
