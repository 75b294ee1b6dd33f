"""The seam to the far side: what a provider is, and what it is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

import msgspec

from convostore.ids import identity_at
from convostore.parts import AttachmentPart, Part, ReasoningPart, ToolCallPart, ToolResultPart
from convostore.providers.faults import FaultsOf
from convostore.records import RemoteThread, Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore.events import Event, Finished


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a view: what a model is told that somebody said.

    A provider that takes no tools gets text alone, with alternating roles. One that does gets
    besides: assistant messages that call tools, each with one message of the role `tool` right
    after it for each of its calls, in the order of the calls; never a call or a result alone.

    Attributes:
        text: all that is said. Where a room has several people, it begins with the name of who
            says it (`Anna: ...`), and names who else does where messages were joined.
        attachments: only where the provider takes them (`TakesAttachments`).
        author: who says it, where it is one person alone that has a name; to be told or not.
        parts: only where the provider takes tools (`TakesTools`), and where it is more than text:
            the whole in order, text parts included. Of the role `tool`: the one result.
            Reasoning and opaque parts are there only if the same provider and model made them.
    """

    role: Role
    text: str
    attachments: tuple[AttachmentPart, ...] = ()
    author: str | None = None
    parts: tuple[Part, ...] = ()

    @property
    def calls(self) -> tuple[ToolCallPart, ...]:
        """The tools that the model calls in it."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))

    @property
    def result(self) -> ToolResultPart | None:
        """What a tool answered, of the role `tool`; else None."""
        first = self.parts[0] if self.parts else None
        return first if isinstance(first, ToolResultPart) else None

    @property
    def reasoning(self) -> str:
        """What the model thought, joined; empty where there is nothing or it is somebody else's."""
        return "".join(part.text for part in self.parts if isinstance(part, ReasoningPart))


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One model call.

    Attributes:
        messages: the whole view, oldest first; the last one is the user's new text, or a tool's
            result that the model goes on from. A system message, if any, is the first.
        model: None is the provider's first.
        settings: options by the provider's own names, such as temperature; only those set.
        remote: the remote thread to continue; None starts a new one. It always belongs to the
            message that was said right before the last one, also where a view leaves that out.
        anonymous_user_id: who to be on the far side; a secret of the server at *home_url*.
        home_url: the server that knows the anonymous user id; None while no server does.
        question: the user's new text alone, where the last message also holds earlier ones that
            were never answered; empty is the last message's whole text.
        reader: how the bytes of attachments are read; see `content`.
    """

    messages: tuple[ChatMessage, ...]
    model: str | None = None
    settings: dict[str, Any] = {}
    remote: RemoteThread | None = None
    anonymous_user_id: str = ""
    home_url: str | None = None
    question: str = ""
    reader: Callable[[AttachmentPart], AsyncGenerator[bytes]] | None = None

    def content(self, part: AttachmentPart) -> AsyncGenerator[bytes]:
        """Return the bytes of one of the attachments, piece by piece; each call begins anew."""
        if self.reader is None:
            raise LookupError("this request has no attachments")
        return self.reader(part)

    def identity_at(self, server_url: str) -> str:
        """Return who to be at *server_url*; the anonymous user id itself goes home alone."""
        return identity_at(self.anonymous_user_id, self.home_url, server_url)

    def __repr__(self) -> str:
        """Show the size, and neither text nor secrets."""
        return f"<ChatRequest for {self.model}, {len(self.messages)} messages>"


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its provider lists it.

    Attributes:
        id: what to ask for.
        name: what people call it.
        host: where the provider runs it, for providers that want to be told.
        description: one line.
        deprecated: still served when asked for, but not offered.
        defaults: the options' default values that the provider lists for it.
        accepts: the media types of attachments that it takes, such as image/*; empty is none.
    """

    id: str
    name: str = ""
    host: str | None = None
    description: str = ""
    deprecated: bool = False
    defaults: dict[str, float | int] = {}
    accepts: tuple[str, ...] = ()


@runtime_checkable
class Provider(Protocol):
    """What turns a history into deltas.

    A provider given to a store is closed by it. One provider serves many turns at once. It may
    have `idle_timeout_s` and `total_timeout_s`: how long turns with it wait, where the store was
    not told otherwise; `one_at_a_time`, where it answers one request after the other: what is asked
    in the background then makes way for turns; and `default_model`, which is asked where nobody
    names one: a conversation that begins with it goes on with it, whatever its answers call it.
    """

    name: str

    def check(self, request: ChatRequest) -> None:
        """Refuse a request that cannot work (size, options) before anything is stored.

        Raises:
            ProviderError: with a hint; permanent.
        """
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[Event]:
        """Ask, and yield what comes back; the last event is Finished, or the turn has failed.

        A RemoteUpdate comes before any delta, where the far side keeps threads. The iterator
        is closed by the caller (`aclose`) when it is left early; it must then let go of its
        connection.

        Raises:
            ProviderError: any kind; RemoteThreadGoneError only before the first delta.
        """
        ...

    async def recover(self, remote: RemoteThread, anonymous_user_id: str) -> Finished | None:
        """Ask whether the far side finished a reply whose stream broke.

        Returns:
            The whole reply, or None when the far side has none.

        Raises:
            ProviderError: it could not be asked.
        """
        ...

    async def models(self) -> list[ModelInfo]:
        """List the models on offer, the default one first.

        Raises:
            ProviderError: it could not be asked.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes. Idempotent."""
        ...


@runtime_checkable
class TakesAttachments(Protocol):
    """What a provider has besides, that takes attachments: by this it says so.

    Its requests then carry them, in the messages that have them, and `ChatRequest.content` reads
    them. A provider without this is never given any: a question with attachments is refused.
    """

    async def check_attachments(self, request: ChatRequest) -> None:
        """Refuse attachments that the model does not take, before anything is stored.

        Raises:
            AttachmentRefusedError: with a hint; permanent.
            ProviderError: whether it takes them could not be found out.
        """
        ...


class TakesTools(Protocol):
    """What a provider has besides, that takes tool calls and results: by this it says so.

    Its requests then carry them (see `ChatMessage`). A provider without this gets plain text.

    Attributes:
        takes_tools: True, of the class or of one object.
    """

    takes_tools: bool


def model_to_ask(provider: Provider, named: str | None) -> str | None:
    """Return the model as *named*, else as *provider* has one of its own; None leaves it to it.

    Raises:
        ProviderError: it fails when it is asked for it.
    """
    own = _said_of(provider, "default_model")
    return named or (own if isinstance(own, str) and own else None)


def takes_tools(provider: Provider) -> bool:
    """Tell whether *provider* takes tool calls and results.

    Raises:
        ProviderError: it fails when it is asked.
    """
    return _said_of(provider, "takes_tools") is True


def is_one_at_a_time(provider: Provider) -> bool:
    """Tell whether *provider* answers one request after the other.

    Raises:
        ProviderError: it fails when it is asked.
    """
    return bool(_said_of(provider, "one_at_a_time"))


def seconds_of(provider: Provider, attribute: str) -> float | None:
    """Return how long *provider* wants to be waited for; None where it does not say.

    Raises:
        ProviderError: it fails when it is asked, or says what is no number of seconds.
    """
    told = _said_of(provider, attribute)
    with FaultsOf(type(provider).__name__):
        if told is None or (isinstance(told, int | float) and told >= 0):
            return told or None
        raise TypeError(f"its {attribute} is no number of seconds")


def _said_of(provider: Provider, attribute: str) -> object:
    with FaultsOf(type(provider).__name__):
        return getattr(provider, attribute, None)


def takes_attachments(provider: Provider) -> TypeGuard[TakesAttachments]:
    """Tell whether *provider* takes attachments."""
    return _class_takes(type(provider))


@lru_cache(maxsize=64)
def _class_takes(kind: type[Provider]) -> bool:
    """Look at a class once: `isinstance` looks at every name of the protocol, in every turn."""
    return issubclass(kind, TakesAttachments)
