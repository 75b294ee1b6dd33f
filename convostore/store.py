"""The store: an opened database, seen as one owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from convostore.attaching import Attaching
from convostore.beginning import Beginning
from convostore.checkpointing import Checkpoints
from convostore.counting import Counting
from convostore.errors import StoreError
from convostore.exporting import Exporting
from convostore.forgetting import Forgetting
from convostore.importing import Importing
from convostore.opener import Opener, where_is
from convostore.owned import Owned
from convostore.owners import Owners
from convostore.retention import Retaining
from convostore.seeking import Seeking
from convostore.storage import engines, lookup
from convostore.text import gate_owner
from convostore.turning.place import MOST_ATTACHMENT_BYTES, Patience
from convostore.views.tokens import estimate_tokens
from convostore.views.window import WHOLE

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType
    from typing import Self

    from convostore.conversation import Conversation
    from convostore.providers.provider import Provider
    from convostore.storage.backup import RestoreReport
    from convostore.storage.soundness import CheckReport
    from convostore.views.tokens import CountTokens
    from convostore.views.window import Window


def open(  # noqa: A001 - the public verb
    url: str | Path | None = None,
    *,
    provider: Provider | None = None,
    owner: str | None = None,
    migrate: bool = False,
    create: bool = True,
    busy_timeout_s: float = 10.0,
    idle_timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    max_attachment_bytes: int = MOST_ATTACHMENT_BYTES,
    window: Window = WHOLE,
    count_tokens: CountTokens = estimate_tokens,
) -> Store:
    """Return a store; `async with` it, or its first verb, opens it.

    Args:
        url: a file, `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`; None is the
            configured store.
        provider: who answers; the store closes it.
        owner: whose conversations, by name; None is the store's personal owner. Up to 255
            characters, no control characters.
        migrate: upgrade an older store; a file after a backup beside it.
        create: make a store where there is none.
        busy_timeout_s: how long a write waits for others before it is withdrawn.
        idle_timeout_s: how long a turn waits for the provider's next event; None is as long as
            the provider itself waits, 120 where it does not say.
        total_timeout_s: how long a whole reply may take; None likewise, 1800.
        max_attachment_bytes: of one attachment; a larger one is refused.
        window: how much of a conversation a model is sent; by default all of it.
        count_tokens: counts the tokens of a text, for such windows as count them.

    Raises:
        StoreOpenError: the URL is of a kind that is not known, or a name that no file can have.
        InvalidTextError: no owner can be called so.
        UsageError: *url* is None, and the configuration cannot be read.
    """
    return Store(
        Opener(
            where=where_is(url),
            provider=provider,
            migrate=migrate,
            create=create,
            busy_timeout_s=busy_timeout_s,
            patience=Patience(idle_timeout_s=idle_timeout_s, total_timeout_s=total_timeout_s),
            most_attachment_bytes=max_attachment_bytes,
            window=window,
            count_tokens=count_tokens,
        ),
        None if owner is None else gate_owner(owner),
    )


async def upgrade(url: str | Path | None) -> str:
    """Bring a store to the newest schema and return its revision; a file is backed up first.

    Raises:
        StoreOpenError: there is no store, or it may not be used.
        SchemaTooNewError: it is newer than this program.
        StoreBusyError: others held it all the time; nothing was changed.
        StoreFullError: no room for the backup or the schema; nothing was changed.
        StoreCorruptError: it is damaged.
        StoreError: whatever else the system or the database says.
        UsageError: *url* is None, and the configuration cannot be read.
    """
    return await engines.upgrade(where_is(url))


async def restore(url: str | Path | None, source: Path | str) -> RestoreReport:
    """Put the backup *source* in the store's place; what was there is kept beside it.

    Raises:
        StoreOpenError: *source* is no store, or another program's file is in the place.
        StoreCorruptError: *source* is damaged.
        SchemaTooNewError: *source* is of a newer program.
        StoreBusyError: another program has the store open; nothing was changed.
        StoreFullError: there is no room for the copy.
        StoreError: the store is in no file, or whatever else the system or the database says.
        UsageError: *url* is None, and the configuration cannot be read.
    """
    return await engines.restore(where_is(url), source)


class Store(
    Exporting, Importing, Beginning, Owners, Retaining, Forgetting, Counting, Seeking, Attaching
):
    """An opened database, seen as one owner.

    What a verb acknowledged by returning is on disk: after kill -9 of any process and after a
    power cut it is there once, whole and in order. Nothing of another owner can be reached
    through it, whatever id is known.
    """

    def __init__(self, opener: Opener, owner: str | None) -> None:
        self._opener = opener
        self._owned = Owned(opener.opened, owner)
        self._fleeting = Owned(opener.in_memory, owner)

    async def __aenter__(self) -> Self:
        """Open the store.

        Raises:
            StoreOpenError: it is missing, no store, or may not be used.
            SchemaOutdatedError: it is older than this program, and `migrate` is False.
            SchemaTooNewError: it is newer than this program.
            StoreBusyError: another program holds it.
            StoreFullError: no room for it, or for the backup before an upgrade.
            StoreCorruptError: it is damaged.
            StoreError: whatever else the system or the database says.
            StoreClosedError: it was closed before.
        """
        await self._opener.opened()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store, and the provider given to it.

        Raises:
            Exception: whatever the provider raises when it is closed.
        """
        await self.aclose()

    def __await__(self) -> Generator[Any, None, Self]:
        """Open the store: `store = await convostore.open(...)`.

        Raises:
            StoreError: see `__aenter__`.
        """
        return self.__aenter__().__await__()

    @property
    def path(self) -> Path:
        """The store's file.

        Raises:
            StoreError: it is in no file; `location` says where it is.
        """
        where = self._opener.where
        if not isinstance(where, Path):
            raise StoreError(f"{where} is no file", hint="use store.location")
        return where

    @property
    def location(self) -> str:
        """Where the store is: its file, or its URL without the password."""
        return str(self._opener.where)

    def for_owner(self, name: str) -> Store:
        """Return the same store as somebody else sees it: same verbs, nobody else's rows.

        It shares the opened database and is closed with it.

        Raises:
            InvalidTextError: nobody can be called so; see `open`.
        """
        return Store(self._opener, gate_owner(name))

    async def create(
        self,
        *,
        title: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        key: str | None = None,
        system: str | None = None,
        settings: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        anonymous_user_id: str | None = None,
        expires_at_ms: int | None = None,
        ephemeral: bool = False,
    ) -> Conversation:
        """Make a conversation.

        Args:
            title: in one line, up to 200 characters; without one, the first question's first
                line becomes it.
            provider: who will answer, by name; by default the store's provider.
            model: by default the provider's first.
            key: a name of the caller's own, unique for this owner: `telegram:42`. One that
                only a conversation in the bin has goes over to the new one.
            system: a system text, stored as the first message.
            settings: options for the provider, by its own names.
            metadata: a JSON object of the caller's own.
            anonymous_user_id: who to be on the far side; made at random by default. A secret.
            expires_at_ms: when it goes for good by itself, in milliseconds UTC; see
                `Conversation.expire`.
            ephemeral: nothing of it is in any file, unless `Conversation.keep` is called; it is
                reached by the returned object alone, and gone when the store is closed.

        Raises:
            DuplicateKeyError: the key is taken.
            ValueError: it would have expired already.
            InvalidTextError: a text cannot be stored.
            StoreError: the store cannot be opened or written.
            StoreClosedError: the store is closed.
        """
        return await self._create(
            reuse=False,
            ephemeral=ephemeral,
            title=title,
            provider=provider,
            model=model,
            key=key,
            system=system,
            settings=settings,
            metadata=metadata,
            anonymous_user_id=anonymous_user_id,
            expires_at_ms=expires_at_ms,
        )

    async def get_or_create(
        self,
        key: str,
        *,
        title: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
        settings: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        anonymous_user_id: str | None = None,
        expires_at_ms: int | None = None,
    ) -> Conversation:
        """Return the conversation of that key, making it if it is new. Arguments as in `create`.

        Raises:
            InvalidTextError: a text cannot be stored.
            StoreError: the store cannot be opened or written.
            StoreClosedError: the store is closed.
        """
        return await self._create(
            reuse=True,
            title=title,
            provider=provider,
            model=model,
            key=key,
            system=system,
            settings=settings,
            metadata=metadata,
            anonymous_user_id=anonymous_user_id,
            expires_at_ms=expires_at_ms,
        )

    def checkpoints(self) -> Checkpoints:
        """Return where graphs keep the states of their steps; adapters are made of it."""

        async def make(key: str) -> str:
            return (await self.get_or_create(key)).id

        return Checkpoints(self._owned, make)

    async def resume(self, ref: str) -> Conversation:
        """Return a conversation to go on with.

        Args:
            ref: `@` for the newest activity (`@2` the one before), an id, a key, a handle, or
                the beginning of a handle; tried in this order. A key may begin with `@`
                (`@general`); one that is `@` or `@` and a number is found by `get_or_create`.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: the beginning fits several.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        at = await self._reading(ref)
        await self._sweep()
        return await self._conversation(*await lookup.standing(*at, ref))

    async def check(self, *, deep: bool = False) -> CheckReport:
        """Look for damage; *deep* also recomputes every message's hash.

        Raises:
            StoreError: the store cannot be opened.
            StoreClosedError: the store is closed.
        """
        await self._opener.opened()
        return await engines.check(self._opener.where, deep=deep)

    async def backup(self, to: Path | str) -> None:
        """Write a copy of the whole store to a new file, also while it is in use.

        Raises:
            StoreOpenError: the file exists, has no folder, or belongs to the store.
            StoreFullError: there is no room for it.
            StoreError: the store is in no file, or whatever else the system or the database says.
            StoreClosedError: the store is closed.
        """
        await self._opener.opened()
        await engines.backup(self._opener.where, to)

    async def aclose(self) -> None:
        """End what still runs as stopped, and close the store and its provider. Idempotent.

        It is done once, to its end, and within about 15 s, whoever waits for it: 5 s for running
        turns and what was not written yet, for queued writes, and for the provider each. What could
        not be written by then, for another program holds the store, is not; a reply is read as
        `interrupted` then. Whoever is cancelled while waiting waits 5 s more at most; the closing
        goes on.

        Raises:
            Exception: whatever the provider raises when it is closed.
        """
        await self._opener.aclose()
