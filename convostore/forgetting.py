"""The verb of a store that forgets a person: what they said in all conversations of its owner."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import msgspec

from convostore import clock
from convostore.errors import ConversationBusyError, InvalidTextError
from convostore.storage.forgetting_users import SAID_BY, ForgetSaid, SaidForgotten, forget_said
from convostore.storage.scrub_note import scrub_soon
from convostore.text import gate
from convostore.upkeep import Upkeep

if TYPE_CHECKING:
    from convostore.storage.database import Database

_AT_ONCE: Final = 500  # messages that one read finds, and so the most of one commit
_PAUSE_S: Final = 0.2  # before what was being written is looked at again


class ForgetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was forgotten.

    Attributes:
        messages: how many, the answers included.
        conversations: those that are gone as a whole, for nobody else had asked anything there.
        busy: those in which a reply is still being written that knows of it: what was said there
            stays; forget again.
    """

    messages: int = 0
    conversations: int = 0
    busy: int = 0


class Forgetting(Upkeep):
    """How a person is forgotten; `Store` has this verb."""

    async def forget(
        self,
        *,
        user: str,
        wait_s: float = 60.0,
        scrub: bool | None = None,
        dry_run: bool = False,
    ) -> ForgetReport:
        """Forget a person for good, in every conversation of this owner, the bin included.

        Every message whose `author_id` is theirs is emptied, as by `Conversation.forget`, and its
        idempotency key goes, too: text, parts, author, attachments, search words. So is every reply
        to what they alone had asked. A conversation in which nobody else has asked anything is
        purged as a whole: key, title, tags and metadata with it. What others wrote about them
        stays, and so do copies of the store.

        A few hundred messages are committed at a time; broken off, it may be run again.

        Args:
            user: the `author_id` with which their messages were stored; the `author`, where none
                was given.
            wait_s: how long to wait for replies that are being written below what they said.
            scrub: get it out of the store's files too, as `scrub` does; by default for a file of up
                to 16 MiB, as a larger one is held for long: there it stays owed until `scrub` or
                `convostore db scrub`. Not by default on a server.
            dry_run: only count what would go; where a reply is being written, it is counted, too.

        Raises:
            InvalidTextError: nobody can be called so.
            StoreBusyError: from scrubbing: it is forgotten, but others kept traces of it in the
                file.
            StoreError: the store cannot be opened, read or written.
            StoreClosedError: the store is closed.
        """
        if not gate(user, "the user").strip():
            raise InvalidTextError("the user is blank", hint="give the author_id of a person")
        at = await self._owned.for_reading()
        deadline_s = clock.monotonic_s() + wait_s
        report = ForgetReport()
        if dry_run:
            return report if at is None else await self._forget_said(at, user, report, trial=True)
        while at is not None:
            report = await self._forget_said(at, user, report)
            if not report.busy or clock.monotonic_s() + _PAUSE_S > deadline_s:
                break
            await clock.sleep(_PAUSE_S)
        await scrub_soon((await self._opener.opened()).database, scrub)
        return report

    async def _forget_said(
        self, at: tuple[Database, str], user: str, report: ForgetReport, *, trial: bool = False
    ) -> ForgetReport:
        """Go once through what they said; return the report with what went, or would."""
        database, owner_id = at
        after = ("", 0)
        busy: set[str] = set()
        whole: set[str] = set()
        while rows := await database.read(
            SAID_BY,
            owner_id=owner_id,
            author_id=user,
            after_id=after[0],
            after_seq=after[1],
            most=_AT_ONCE,
        ):
            for id_, found in groupby(rows, key=itemgetter(0)):
                if id_ in whole:  # counted by an earlier read
                    continue
                seqs = tuple(seq for _, seq in found)
                job = ForgetSaid(
                    conversation_id=id_,
                    seqs=seqs,
                    author_id=user,
                    now_ms=clock.now_ms(),
                    trial=trial,
                )
                try:
                    gone: SaidForgotten = await database.write(forget_said, owner_id, job)
                except ConversationBusyError:
                    busy.add(id_)
                    continue
                whole |= {id_} if gone.purged else set()
                report = ForgetReport(
                    messages=report.messages + gone.messages,
                    conversations=report.conversations + gone.purged,
                )
            after = rows[-1][0], rows[-1][1]
        return msgspec.structs.replace(report, busy=len(busy))
