"""What a turn asks: the caller's words, and the model call that is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convostore.carrying import Source
from convostore.errors import InvalidTextError, TurnStateError
from convostore.parts import AttachmentPart
from convostore.providers.provider import ChatRequest
from convostore.records import Message, RemoteThread
from convostore.storage.exchanges import OnMoved
from convostore.text import gate, gate_object
from convostore.turning.handing import readable, takes_none
from convostore.views.asked import who_is_asked
from convostore.views.viewing import view

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.turning.place import Place


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller said.

    Attributes:
        text: the question.
        attachments: with it; once the turn begins, as they are stored.
        author: who asks, where a room has several people.
        author_id: who that is, by an id that stays; None is the author's name.
        model: None is the conversation's.
        settings: over the conversation's own.
        idempotency_key: repeating with the same one asks only once.
        wait_s: for a running reply of the same conversation; None is 60 with a key, else 0.
        on_moved: what to do when the head has moved; None is "follow" with a key, else "branch".
        stored: the message to be answered, where it is stored already.
    """

    text: str
    attachments: tuple[Source | AttachmentPart, ...] = ()
    author: str | None = None
    author_id: str | None = None
    model: str | None = None
    settings: dict[str, Any] | None = None
    idempotency_key: str | None = None
    wait_s: float | None = None
    on_moved: OnMoved | None = None
    stored: Message | None = None

    def check(self) -> None:
        """Refuse what cannot be stored or asked.

        Raises:
            InvalidTextError: the question is empty, or a text cannot be stored.
        """
        gate(self.text)
        if not self.text:
            raise InvalidTextError("the question is empty", hint="type some text")
        self.check_options()

    def check_options(self) -> None:
        """Refuse what cannot be stored, the question left aside.

        Raises:
            InvalidTextError: a text cannot be stored.
        """
        for value, what in (
            (self.author, "the author"),
            (self.author_id, "the author's id"),
            (self.model, "the model"),
            (self.idempotency_key, "the idempotency key"),
        ):
            if value is not None:
                gate(value, what)
        if self.settings is not None:
            gate_object(self.settings, "the settings")

    @property
    def parts(self) -> tuple[AttachmentPart, ...]:
        """The attachments, as they are stored."""
        return tuple(one for one in self.attachments if isinstance(one, AttachmentPart))

    def request(
        self,
        place: Place,
        provider: Provider,
        path: tuple[Message, ...],
        remote: RemoteThread | None,
    ) -> ChatRequest:
        """Return the model call that asks this after *path*.

        Args:
            place: the conversation.
            provider: who is asked; a conversation's model and settings are its provider's.
            path: what was said before.
            remote: what the far side keeps of the last message of *path*.

        Raises:
            AttachmentRefusedError: it has attachments, and the provider takes none.
        """
        last = path[-1] if path else None
        usable = (
            last is not None
            and bool(last.text)
            and (last.status == "completed" or (remote is not None and remote.same_text))
        )
        record = place.record
        other = record.provider not in {None, provider.name}
        new = self.stored or Message.user(self.text, author=self.author, attachments=self.parts)
        model = self.model or (None if other else record.model)
        asked = who_is_asked(provider, model)
        if self.parts and not asked.attachments:
            raise takes_none(provider)
        seen = view((*path, new), asked)
        request = ChatRequest(
            messages=seen.messages,
            model=model,
            settings={**({} if other else record.settings), **(self.settings or {})},
            remote=remote if usable else None,
            anonymous_user_id=record.anonymous_user_id or "",
            home_url=place.home_url,
            question=seen.question,
        )
        return readable(place, request)


def who_answers(provider: Provider | None, own: Provider | None) -> Provider:
    """Return who is asked: *provider*, else the store's *own*.

    Raises:
        TurnStateError: there is neither.
    """
    asked = provider or own
    if asked is None:
        raise TurnStateError(
            "this store has no provider: open(..., provider=...) or name one in the call"
        )
    return asked
