"""The verbs of a store about its owners: who there is, and how one goes with everything of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convostore.carrying import forget_forsaken
from convostore.errors import ConversationBusyError
from convostore.storage import dossiers
from convostore.storage.erasing import Erased, EraseOwner, OwnerRecord, erase_owners, owners
from convostore.storage.scrub_note import scrub_after
from convostore.upkeep import Upkeep

if TYPE_CHECKING:
    from convostore.storage.database import Database

_AT_ONCE: Final = 200  # conversations that one read lists
_SOON_S: Final = -86_400.0  # attachments that were handed in until tomorrow: all of them


class EraseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What went with an owner.

    Attributes:
        conversations: how many, the bin included.
        messages: in them.
        calls: model calls that are counted no more.
    """

    conversations: int = 0
    messages: int = 0
    calls: int = 0


class Owners(Upkeep):
    """Who has something in a store; `Store` has these verbs."""

    async def owners(self) -> tuple[OwnerRecord, ...]:
        """List whoever has something in the store, the personal owner first, then by name.

        It is the one verb that sees more than one owner: for who keeps the store.

        Raises:
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        return await owners((await self._opener.opened()).database)

    async def erase_owner(self, *, scrub: bool | None = None) -> EraseReport:
        """Remove everything of this store's owner for good: conversations, bin, usage, the name.

        There is no way back; `export(deleted=True)` writes all of it out before. Conversations go
        one after the other, each whole or not at all; a failure leaves those that went, and may be
        run again. Whoever stores something under the same name later begins anew. Copies of the
        store are not touched: see `copies`.

        Args:
            scrub: see `Store.scrub`; by default it is done for a file, and not on a server.

        Raises:
            ConversationBusyError: a reply is still being written; its conversation and the owner
                stay, the rest is gone, out of the files too.
            StoreBusyError: from scrubbing: everything is out of reach, but others kept traces of it
                in the file.
            StoreError: the store cannot be opened, read or written.
            StoreClosedError: the store is closed.
        """
        stays: ConversationBusyError | None = None
        try:
            report = await self._erase_all()
        except ConversationBusyError as error:
            stays = error  # what went is scrubbed all the same
        await scrub_after((await self._opener.opened()).database, scrub)
        if stays is not None:
            raise stays
        return report

    async def _erase_all(self) -> EraseReport:
        report = EraseReport()
        while (at := await self._owned.for_reading()) is not None:
            report = await self._erase(at, report)
            end: Erased = await at[0].write(erase_owners, at[1], EraseOwner())
            if end.done:  # else somebody stored something meanwhile
                report = msgspec.structs.replace(report, calls=end.calls)
                self._owned.forget()
                break
        return report

    async def _erase(self, at: tuple[Database, str], report: EraseReport) -> EraseReport:
        """Remove all conversations and attachments; return the report with what went."""
        after: str | None = None
        busy = 0
        while ids := await dossiers.conversation_ids(*at, after, _AT_ONCE, binned=True):
            purged = await self._purge(ids, only=None)
            busy += purged.busy
            report = EraseReport(
                conversations=report.conversations + purged.changed,
                messages=report.messages + purged.messages,
            )
            after = ids[-1]
        if busy:
            raise ConversationBusyError(
                "the owner stays with what is still being written; the rest is gone",
                hint="wait until the replies have ended, or stop them; then erase again",
            )
        await forget_forsaken(*at, older_than_s=_SOON_S)
        return report
