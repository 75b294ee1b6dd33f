"""How a store hands out conversations: those that it has, new ones, and ephemeral ones."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from convostore.conversation import Conversation
from convostore.errors import DuplicateKeyError
from convostore.making import new_conversation
from convostore.providers.faults import name_of
from convostore.storage import lookup
from convostore.storage.conversations import create_conversations
from convostore.storage.owner_rows import OwnerGone
from convostore.storage.rooms import KEYS_BELOW, RenameKey, rename_keys
from convostore.text import gate_key
from convostore.turning.place import Fleeting, Place
from convostore.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.owned import Owned
    from convostore.records import ConversationRecord
    from convostore.storage.database import Database
    from convostore.storage.lookup import Standing
    from convostore.storage.reads import FarSide
    from convostore.turning.place import Opened


class Beginning(Upkeep):
    """Makes the live objects of a store's conversations; `Store` does so."""

    _fleeting: Owned  # the same owner's part of the store in memory

    async def rename_key(self, old: str, new: str, *, below: bool = False) -> bool:
        """Give the conversation of one key another one, as where a platform gives a chat another id.

        Nothing else of it changes. Its messages' idempotency keys hold as before, and
        `get_or_create` of the first key that it had leads to it, too, so that what comes late is not
        told to a new conversation; unless `create` has made one of that key since.

        Where another conversation has the *new* key already, but nothing was said in it, it goes to
        the bin; so does the one of the *old* key, if it is that in which nothing was said.

        Args:
            old: the key that it has.
            new: the one that it gets.
            below: also every key that goes on after *old* and a colon, as those of rooms of one
                person do: `telegram:-42:user:telegram:1`. One that is refused does not keep the
                others from going; its error comes at the end.

        Returns:
            Whether a conversation has the *new* key by now, or one below it; False where there was
            nothing of either name.

        Raises:
            DuplicateKeyError: another conversation has the *new* key, and something was said in
                both; this one was not changed.
            InvalidTextError: a key is empty, longer than 1,000 characters, or cannot be stored.
            StoreError: the store cannot be opened or written.
            StoreClosedError: the store is closed.
        """
        pairs = [(gate_key(old), gate_key(new))]
        at = await self._owned.for_reading()
        if at is None:
            return False
        if below:
            keys = await at[0].read(
                KEYS_BELOW, owner_id=at[1], key_low=f"{old}:", key_high=f"{old};"
            )
            pairs += [(key, gate_key(new + key[len(old) :])) for (key,) in keys]
        renamed, refused = False, None
        for pair in pairs:
            try:
                renamed = await self._rename(at, *pair) or renamed
            except DuplicateKeyError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return renamed

    async def _rename(self, at: tuple[Database, str], old: str, new: str) -> bool:
        """Rename one, in line with those who ask for a room of either key."""
        async with AsyncExitStack() as lines:
            for key in sorted({old, new}):
                await lines.enter_async_context(self._in_line(key))
            return bool(await at[0].write(rename_keys, at[1], RenameKey(old=old, new=new)))

    async def get(self, key: str) -> Conversation | None:
        """Return the conversation that `get_or_create` would, or None; nothing is made.

        Raises:
            InvalidTextError: no conversation can be called so.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        async with self._in_line(gate_key(key)):
            known = await self._known(key)
            return None if known is None else await self._conversation(*known)

    @asynccontextmanager
    async def _in_line(self, key: str) -> AsyncGenerator[None]:
        """Give out the conversation of a key in the order in which it is asked for.

        Whoever has it and asks at once is so asked in that order, too.
        """
        ticket = self._opener.lines.take((self._owned.name, key))
        try:
            await ticket.first()
            yield
        finally:
            ticket.leave()

    async def _create(self, *, reuse: bool, ephemeral: bool = False, **wish: Any) -> Conversation:
        if not reuse:
            return await self._made(reuse=False, ephemeral=ephemeral, wish=wish)
        async with self._in_line(gate_key(wish["key"])):
            return await self._made(reuse=True, ephemeral=False, wish=wish)

    async def _made(self, *, reuse: bool, ephemeral: bool, wish: dict[str, Any]) -> Conversation:
        far = self._opener.provider
        who = None if far is None else name_of(far)
        job = new_conversation(reuse=reuse, provider=who, wish=wish)
        owned = self._fleeting if ephemeral else self._owned
        if reuse and (known := await self._known(job.key)) is not None:
            return await self._conversation(*known)
        while True:
            database, owner_id = await owned.for_writing()
            if not ephemeral:
                await self._sweep()
            id_ = await database.write(create_conversations, owner_id, job)
            if not isinstance(id_, OwnerGone):
                made = await lookup.standing(database, owner_id, id_)
                return await (self._ephemeral(made[0]) if ephemeral else self._conversation(*made))
            owned.forget()  # erased by somebody else: one of that name is made anew

    async def _known(self, key: str | None) -> Standing | None:
        """Read the conversation of a key, as it mostly is there: nobody who writes is held up."""
        at = await self._owned.for_reading()
        if at is None or key is None:
            return None
        await self._sweep()
        return await lookup.standing_of_key(*at, key)

    async def _conversation(self, record: ConversationRecord, far: FarSide) -> Conversation:
        opened = await self._opener.opened()
        _, owner_id = await self._owned.for_writing()
        remote, home_url, compacted = far
        place = Place(opened, owner_id, record, remote, home_url, compacted=compacted)
        return Conversation(place, self._opener.provider)

    async def _ephemeral(self, record: ConversationRecord) -> Conversation:
        opened = await self._opener.in_memory()
        _, owner_id = await self._fleeting.for_writing()
        memory = self._opener.memory
        fleeting = None if memory is None else Fleeting(memory, self._home)
        place = Place(opened, owner_id, record, None, None, fleeting=fleeting)
        return Conversation(place, self._opener.provider)

    async def _home(self, was_erased: bool) -> tuple[Opened, str]:
        """Open the store itself for what is to be kept in it."""
        opened = await self._opener.opened()
        if was_erased:
            self._owned.forget()
        _, owner_id = await self._owned.for_writing()
        return opened, owner_id
