"""What a turn asks: the caller's words, and the model call that is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convostore.carrying import Source
from convostore.errors import InvalidTextError, TurnStateError
from convostore.parts import AttachmentPart
from convostore.providers.faults import name_of
from convostore.providers.provider import ChatRequest, model_to_ask
from convostore.records import Message, RemoteThread
from convostore.storage.exchanges import OnMoved
from convostore.text import gate, gate_mark, gate_object
from convostore.turning.handing import readable, takes_none
from convostore.views.asked import who_is_asked
from convostore.views.tokens import Counter
from convostore.views.viewing import ALL, Sight, View, view
from convostore.views.window import Window

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord
    from convostore.turning.place import Past, Place
    from convostore.views.asked import Asked


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
        window: how much of the conversation is sent; None is as the conversation or store has it.
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
    window: Window | None = None

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
            InvalidTextError: a text cannot be stored, or the idempotency key is empty.
        """
        for value, what in (
            (self.author, "the author"),
            (self.author_id, "the author's id"),
            (self.idempotency_key, "the idempotency key"),
        ):
            if value is not None:
                gate_mark(value, what)
        if self.idempotency_key == "":  # else all messages without an id would be one
            raise InvalidTextError(
                "the idempotency key is empty", hint="give the message's own id, or leave it out"
            )
        if self.model is not None:
            gate(self.model, "the model")
        if self.settings is not None:
            gate_object(self.settings, "the settings")

    @property
    def parts(self) -> tuple[AttachmentPart, ...]:
        """The attachments, as they are stored."""
        return tuple(one for one in self.attachments if isinstance(one, AttachmentPart))

    def window_in(self, place: Place) -> Window:
        """Return how much of the conversation is sent."""
        return self.window or place.window or place.opened.window

    def request(
        self,
        place: Place,
        provider: Provider,
        past: Past,
        remote: RemoteThread | None,
        *,
        count: bool = False,
    ) -> tuple[ChatRequest, View]:
        """Return the model call that asks this after *past*, and how it came about.

        Args:
            place: the conversation.
            provider: who is asked; a conversation's model and settings are its provider's.
            past: what was said before.
            remote: what the far side keeps of the last message of that.
            count: count the tokens, also where the window has no limit of them.

        Raises:
            AttachmentRefusedError: it has attachments, and the provider takes none.
            ContextLengthError: the question alone is larger than the window.
        """
        record = place.record
        other = record.provider not in {None, provider.name}
        model = model_to_ask(provider, self.model or (None if other else record.model))
        answers_as = None if other or self.model else _answers_as(record, past)
        asked = who_is_asked(provider, model, answers_as)
        if self.parts and not asked.attachments:
            raise takes_none(provider)
        settings = {**({} if other else record.settings), **(self.settings or {})}
        window = self.window_in(place)
        sight = sight_of(place, window, past, asked, settings.get("tools"), count=count)
        path = past.path
        if self.stored is not None:
            path = (*path, self.stored)
        elif self.text or self.parts:
            path = (*path, Message.user(self.text, author=self.author, attachments=self.parts))
        seen = view(path, asked, sight)
        request = ChatRequest(
            messages=seen.messages,
            model=model,
            settings=settings,
            remote=remote if _goes_on(past, remote) else None,
            anonymous_user_id=record.anonymous_user_id or "",
            home_url=place.home_url,
            question=seen.question,
        )
        return readable(place, request), seen


def _answers_as(record: ConversationRecord, past: Past) -> str | None:
    """Return what the conversation's model is called by its own answers; None if that is not sure.

    Where nothing was said anywhere after *past*, its newest reply is of the model that was asked last.
    """
    if record.model is None or past.head_seq != record.last_seq:
        return None
    return next((one.model for one in reversed(past.path) if one.role == "assistant"), None)


def _goes_on(past: Past, remote: RemoteThread | None) -> bool:
    """Tell whether the far side knows the last message as it is here, so that it can go on itself."""
    last = past.path[-1] if past.path else None
    return (
        last is not None
        and bool(last.text)
        and (last.status == "completed" or (remote is not None and remote.same_text))
    )


def sight_of(
    place: Place,
    window: Window,
    past: Past,
    asked: Asked,
    tools: object = None,
    *,
    count: bool = False,
) -> Sight:
    """Return how a past is looked at through a window.

    Args:
        place: the conversation.
        window: how much of it is told.
        past: as it was read for that.
        asked: who is asked.
        tools: descriptions that go along, which have tokens, too.
        count: count the tokens though the window has no limit of them.
    """
    counter, beside_tokens = None, 0
    if count or window.counts:
        counter = counter_of(place, past, asked)
        beside_tokens = counter.json(tools) if tools else 0
    elif past.summary is None and window.turns is None:
        return ALL
    return Sight(
        window=window,
        counter=counter,
        beside_tokens=beside_tokens,
        summary=past.summary if window.summaries else None,
        skipped_turns=past.skipped_turns,
    )


def counter_of(place: Place, past: Past, asked: Asked) -> Counter:
    """Return what counts tokens: replies of whoever is asked as they have counted them."""
    known = {
        one.text: past.counted[one.seq]
        for one in past.path
        if one.seq in past.counted and asked.made(one)
    }
    return Counter(place.opened.count_tokens, known)


def who_answers(provider: Provider | None, own: Provider | None) -> Provider:
    """Return who is asked: *provider*, else the store's *own*.

    Raises:
        TurnStateError: there is neither.
        ProviderError: it fails when it is asked for its name.
    """
    asked = own if provider is None else provider
    if asked is None:
        raise TurnStateError(
            "this store has no provider: open(..., provider=...) or name one in the call"
        )
    name_of(asked)
    return asked
