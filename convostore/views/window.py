"""What a caller chooses: how much of a conversation one model call is sent."""

from __future__ import annotations

import msgspec


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a conversation one model call is sent; without any limit, all of it.

    What is left out stays in the record, and whole turns are left out: a question with all that
    answered it. The system text at the beginning, and the new question, are always sent.

    Attributes:
        turns: at most so many turns before the new question, the newest ones; 0 is none.
        tokens: at most so many tokens altogether, about; see `estimate_tokens`.
        compact_above: once there are more tokens than these, what is older is summed up by the
            provider, in the background, and the summary is told in its place. At most *tokens*.
        summaries: tell the summaries that are there in place of what they sum up.
    """

    turns: int | None = None
    tokens: int | None = None
    compact_above: int | None = None
    summaries: bool = True

    def __post_init__(self) -> None:
        """Refuse what no window can be.

        Raises:
            ValueError: a number is too small, or none, or *compact_above* is above *tokens*.
        """
        for name, least in (("turns", 0), ("tokens", 1), ("compact_above", 1)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise ValueError(f"{name} is {value!r}: take a whole number from {least} on")
        if self.tokens and self.compact_above and self.compact_above > self.tokens:
            raise ValueError(
                f"compact_above is {self.compact_above}, and only {self.tokens} tokens are sent: "
                "what is above them would be left out before it is summed up"
            )

    @property
    def counts(self) -> bool:
        """Whether tokens have to be counted for it."""
        return self.tokens is not None or self.compact_above is not None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.turns is None and self.tokens is None


WHOLE = Window()
