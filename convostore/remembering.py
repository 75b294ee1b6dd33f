"""What a conversation's model is sent of it: choosing, and looking at it without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convostore.storage import summaries
from convostore.turning.asking import Ask, who_answers
from convostore.turning.compacting import Wish, compact
from convostore.turning.looking import past_of
from convostore.turning.place import Placed

if TYPE_CHECKING:
    from convostore.overlay import Summary
    from convostore.providers.provider import Provider
    from convostore.views.viewing import View
    from convostore.views.window import Window


AT_ONCE: Final = 8_000  # tokens that one call sums up, where the window does not say


class Remembering(Placed):
    """How much of a conversation its model is sent; `Conversation` has these."""

    _provider: Provider | None

    @property
    def window(self) -> Window:
        """How much of it the model is sent, where a turn does not say; by default as the store has it.

        It may be set, and holds for this object: `chat.window = Window(turns=20)`.
        """
        return self._place.window or self._place.opened.window

    @window.setter
    def window(self, window: Window | None) -> None:
        """Choose; None is as the store has it."""
        self._place.window = window

    async def view(
        self,
        text: str = "",
        *,
        author: str | None = None,
        model: str | None = None,
        provider: Provider | None = None,
        window: Window | None = None,
    ) -> View:
        """Return what the model would be sent if it were asked now; nobody is asked.

        Args:
            text: the question; without one, what was said so far is the whole of it.
            author: who would ask.
            model: who would be asked; by default as in `stream`.
            provider: the same.
            window: how much would be sent; by default as `window` says.

        Raises:
            ContextLengthError: the question alone is larger than the window.
            InvalidTextError: nobody could ask that.
            StoreError: the store cannot be read.
            TurnStateError: neither the store nor the call has a provider.
            StoreClosedError: the store is closed.
        """
        place, who = self._place, who_answers(provider, self._provider)
        ask = Ask(text=text, author=author, model=model, window=window)
        if text:
            ask.check()
        await place.settled()
        past = await past_of(place, ask.window_in(place), place.head_seq)
        request, seen = ask.request(place, who, past, place.remote, count=True)
        return msgspec.structs.replace(seen, goes_on=request.remote is not None)

    async def compact(
        self,
        *,
        keep_turns: int = 4,
        model: str | None = None,
        provider: Provider | None = None,
    ) -> Summary | None:
        """Let the provider sum up all but the newest turns now, and tell the summary in their place.

        The messages stay as they are, and are found, shown and exported as before. What is long is
        summed up piece by piece; each piece is stored when it is done.

        Args:
            keep_turns: so many of the newest turns stay as they are, one at least.
            model: who sums up; by default the conversation's.
            provider: instead of the store's; it stays the caller's to close.

        Returns:
            The newest summary; None where there is nothing older, or somebody else is at it.

        Raises:
            ProviderError: a piece was not summed up; everything is as it was before that.
            StoreError: the store cannot be read or written.
            TurnStateError: neither the store nor the call has a provider.
            StoreClosedError: the store is closed.
        """
        place, who = self._place, who_answers(provider, self._provider)
        await place.settled()
        at_once = self.window.compact_above or AT_ONCE
        wish = Wish(0, at_once, keep_turns=max(1, keep_turns))
        made = None
        while (one := await compact(place, who, wish, model=model)) is not None:
            made = one
        return made

    async def summaries(self) -> tuple[Summary, ...]:
        """Read the summaries that there are, by the messages at which they end.

        A view tells the last one that is on its path.

        Raises:
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        place = self._place
        return await summaries.summaries(place.database, place.owner_id, place.record.id)

    async def uncompact(self) -> None:
        """Take all summaries away: the messages are told again. Where there is none, none goes.

        Where the window sums up, it does so again once there is too much.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        job = summaries.DropSummaries(conversation_id=place.record.id)
        await place.database.write(summaries.drop_summaries, place.owner_id, job)
        place.compacted = False
        place.retold()
