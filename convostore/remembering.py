"""What a conversation's model is sent of it: choosing, and looking at it without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.turning.asking import Ask, who_answers
from convostore.turning.looking import past_of

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.turning.place import Place
    from convostore.views.viewing import View
    from convostore.views.window import Window


class Remembering:
    """How much of a conversation its model is sent; `Conversation` has these."""

    _place: Place
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
