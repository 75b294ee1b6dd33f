"""A drop-in for gpt4free's AllenAI provider: the same call, and every chat is kept.

.. code-block:: python

    from convostore.integrations.g4f import AllenAI, Conversation

    conversation = Conversation("tulu3-405b")
    async for piece in AllenAI.create_async_generator(
        "tulu3-405b", [{"role": "user", "content": "Hello"}], conversation=conversation
    ):
        print(piece, end="")

    conversation = await Conversation.load(conversation.id)  # in any process, any day

g4f need not be installed. The store is the configured one (`CONVOSTORE_DB`), the server too
(`CONVOSTORE_PLAYGROUND_URL`).
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4
from weakref import WeakKeyDictionary

import convostore
from convostore import config
from convostore.errors import IncompleteReplyError
from convostore.events import TextDelta
from convostore.integrations.g4f_prompt import (
    leave_out,
    messages_of,
    newest,
    read,
    whole,
)
from convostore.providers.playground import Playground
from convostore.providers.playground_models import ALIASES, HOSTS
from convostore.providers.provider import ChatRequest
from convostore.records import Message
from convostore.text import gate
from convostore.views.viewing import view

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from convostore.conversation import Conversation as StoredConversation
    from convostore.integrations.g4f_prompt import Said
    from convostore.store import Store
    from convostore.turn import Turn

_PASSED_ON = ("max_tokens", "stop", "n", "logprobs", "dialect", "captchaToken")
_BUSY_WAIT_S = 60.0  # for another turn of the same conversation


class FinishReason:
    """The last thing yielded when the reply completed.

    Attributes:
        reason: `stop`.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        """Show the reason."""
        return f"FinishReason({self.reason!r})"

    def __str__(self) -> str:
        """Return nothing, so that joining all that was yielded gives the answer."""
        return ""


class Conversation:
    """What a client holds of a conversation; the store holds all of it.

    Its attributes are plain data: `Conversation(**conversation.get_dict())` is the same one, and
    a dictionary that was saved by gpt4free's own class is carried on as well: its messages are
    stored before the next turn.

    Args:
        model: whom to ask.
        state: further attributes, as `get_dict` returned them.

    Attributes:
        model: whom to ask.
        messages: what was said, as dictionaries of role and content; for reading.
        parent: the server's id of the last reply; a secret. For reading.
        x_anonymous_user_id: who to be on the server; a secret.
        id: the conversation's id in the store; None before its first turn.
    """

    parent: str | None = None
    x_anonymous_user_id: str | None = None

    def __init__(self, model: str, **state: Any) -> None:
        self.model = model
        self.messages: list[Said] = []
        self.id: str | None = None
        for name, value in state.items():
            setattr(self, name, value)
        if not self.x_anonymous_user_id:
            self.x_anonymous_user_id = str(uuid4())  # all of it random: it is a password
        _make_theirs_too(self)

    @classmethod
    async def load(cls, ref: str) -> Conversation:
        """Have a conversation again, in any process.

        Args:
            ref: its id, its handle, or whatever the command line takes.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: more than one fits.
            StoreError: the store cannot be read.
        """
        async with _opened_store(_provider()) as store:
            chat = await store.resume(ref)
            said = [_said(message) for message in await chat.history()]
            return cls(
                chat.model or AllenAI.default_model,
                messages=[one for one in said if one["content"]],
                parent=chat.parent_id,
                x_anonymous_user_id=chat.anonymous_user_id,
                id=chat.id,
            )

    def get_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-able data, secrets included."""
        return {**vars(self), "messages": list(self.messages)}

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Conversation {self.id} with {self.model}, {len(self.messages)} messages>"

    def __str__(self) -> str:
        """Return nothing, so that joining all that was yielded gives the answer."""
        return ""


class AllenAI:
    """Ask the Ai2 Playground as gpt4free does, and keep the chat."""

    label: ClassVar[str] = "Ai2 Playground"
    url: ClassVar[str] = "https://playground.allenai.org"
    login_url: ClassVar[str | None] = None
    working: ClassVar[bool] = True
    needs_auth: ClassVar[bool] = False
    use_nodriver: ClassVar[bool] = False
    supports_stream: ClassVar[bool] = True
    supports_system_message: ClassVar[bool] = True
    supports_message_history: ClassVar[bool] = True
    default_model: ClassVar[str] = "tulu3-405b"
    models: ClassVar[list[str]] = list(HOSTS)
    model_aliases: ClassVar[dict[str, str]] = dict(ALIASES)
    model_hosts: ClassVar[dict[str, str]] = dict(HOSTS)

    @classmethod
    def get_model(cls, model: str | None) -> str:
        """Return the model's id on the server; a name that is not known here stays as it is."""
        return cls.model_aliases.get(model or "", model or cls.default_model)

    @classmethod
    async def create_async_generator(  # positional as gpt4free's own
        cls,
        model: str | None,
        messages: Iterable[Mapping[str, Any]],
        proxy: str | None = None,
        host: str | None = "inferd",
        private: bool = True,  # noqa: ARG003 - gpt4free's signature; the server decides by itself
        top_p: float | None = None,
        temperature: float | None = None,
        conversation: Conversation | None = None,
        return_conversation: bool = False,
        media: Any = None,
        **kwargs: Any,
    ) -> AsyncGenerator[str | Conversation | FinishReason]:
        """Yield the answer in pieces, the conversation if wanted, then why it ended.

        The question is in the store before the server is asked, the answer while it streams.
        Leaving early keeps both. *conversation* is updated in place, also then; of two turns at
        once on one conversation the second waits and follows the first.

        Args:
            model: an id or alias; empty is `default_model`.
            messages: dictionaries of role and content. Without *conversation* all of them are
                the prompt: what a tool said is told as `Tool: ...`, and after a beginning of the
                answer the model is asked to go on. With one the last user message is the prompt.
            proxy: an http proxy.
            host: where to ask for a model whose host is not known; its own host wins.
            private: accepted for the signature's sake.
            top_p: 0 to 1.
            temperature: 0 to 1.
            conversation: the one to carry on, also one of gpt4free's own class.
            return_conversation: yield the conversation before the end.
            media: left out, with a warning.
            kwargs: max_tokens, stop, n, logprobs, dialect and captchaToken are sent along;
                others are ignored.

        Raises:
            ProviderError: any kind, after all that arrived has been stored; an unknown model's
                hint names `convostore models`. A request that cannot work stores nothing.
            InvalidTextError: a text cannot be stored; nothing is.
            ConversationNotFoundError: the store no longer has *conversation*.
            ConversationBusyError: another turn of it took longer than a minute.
            StoreError: the store cannot be opened or written.
            UsageError: the configuration cannot be used.
        """
        said = [read(one) for one in messages]
        if media:
            leave_out("media")
        if conversation is None:
            before, question = whole(said)
            conversation = Conversation(cls.get_model(model), messages=before)
        else:
            question = newest(said)
        options = {"host": host, "top_p": top_p, "temperature": temperature}
        options |= {name: kwargs.get(name) for name in _PASSED_ON}
        settings = {name: value for name, value in options.items() if value is not None}
        provider = _provider(proxy)
        if _id_of(conversation) is None:
            _check(provider, conversation, question, cls.get_model(model), settings)
        async with _opened_store(provider) as store:
            chat = await _stored(store, conversation)
            turn = chat.stream(
                question,
                model=cls.get_model(model),
                settings=settings,
                wait_s=_BUSY_WAIT_S,
                on_moved="follow",
            )
            async with aclosing(_pieces(chat, turn, conversation)) as pieces:
                async for piece in pieces:
                    yield piece
        if return_conversation:
            _make_theirs_too(conversation)
            yield conversation
        yield _finish_reason("stop")


async def _pieces(
    chat: StoredConversation, turn: Turn, conversation: Conversation
) -> AsyncGenerator[str]:
    """Yield the answer's text, and bring *conversation* up to date however it ends."""
    began = False
    try:
        async with turn:
            began = True
            async for delta in turn:
                if isinstance(delta, TextDelta) and delta.text:
                    yield delta.text
    finally:
        if began:
            said = [_said(turn.user), _said(turn.reply)]
            said = [one for one in said if one["content"]]
            conversation.messages = [*conversation.messages, *said]
            conversation.parent = chat.parent_id
    if turn.dropped_turns:
        warnings.warn(
            f"the oldest {turn.dropped_turns} turns did not fit and were not sent", stacklevel=2
        )
    if turn.reply.status != "completed":
        raise IncompleteReplyError("the reply was stopped from elsewhere", provider=Playground.name)


def _check(
    provider: Playground,
    conversation: Conversation,
    question: str,
    model: str,
    settings: dict[str, Any],
) -> None:
    """Refuse what cannot work before a conversation is made for it."""
    said = [*messages_of(conversation.messages), Message.user(question)]
    for one in said:
        gate(one.text)
    for name in (model, AllenAI.get_model(conversation.model)):
        gate(name, "the model")
    provider.check(
        ChatRequest(
            messages=view(said).messages,
            model=model,
            settings=settings,
            anonymous_user_id=conversation.x_anonymous_user_id or "",
        )
    )


def _provider(proxy: str | None = None) -> Playground:
    configured = config.load()
    return Playground(
        configured.playground_url,
        proxy=proxy,
        connect_timeout_s=configured.connect_timeout_s,
        idle_timeout_s=configured.idle_timeout_s,
        total_timeout_s=configured.total_timeout_s,
    )


@asynccontextmanager
async def _opened_store(provider: Playground) -> AsyncIterator[Store]:
    configured = config.load()
    async with convostore.open(
        configured.store,
        provider=provider,
        owner=configured.owner,
        busy_timeout_s=configured.busy_timeout_s,
        idle_timeout_s=configured.idle_timeout_s,
        total_timeout_s=configured.total_timeout_s,
    ) as store:
        yield store


_starting: WeakKeyDictionary[Conversation, asyncio.Lock] = WeakKeyDictionary()


async def _stored(store: Store, conversation: Conversation) -> StoredConversation:
    """Return the stored conversation; make it, with what was said before, if there is none."""
    if _id_of(conversation) is None:
        async with _starting.setdefault(conversation, asyncio.Lock()):
            if _id_of(conversation) is None:  # else another turn of it was faster
                before = messages_of(conversation.messages)
                chat = await store.create(
                    provider=Playground.name,
                    model=AllenAI.get_model(conversation.model),
                    anonymous_user_id=conversation.x_anonymous_user_id,
                )
                if before:
                    await chat.append(*before)
                conversation.id = chat.id
                _starting.pop(conversation, None)
                return chat
    return await store.resume(str(conversation.id))


def _id_of(conversation: Conversation) -> str | None:
    """Return its id in the store; an object of gpt4free's own class has none before its turn."""
    known: str | None = getattr(conversation, "id", None)
    return known


def _said(message: Message) -> Said:
    return {"role": message.role, "content": message.text}


def _finish_reason(reason: str) -> FinishReason:
    """Make a FinishReason that is also gpt4free's own, where that is loaded."""
    theirs = _their_class("FinishReason")
    kind = FinishReason if theirs is None else _both(FinishReason, theirs)
    return kind(reason)


def _make_theirs_too(conversation: Conversation) -> None:
    """Let *conversation* be a gpt4free conversation as well, where that is loaded."""
    theirs = _their_class("JsonConversation") or _their_class("BaseConversation")
    is_ours = isinstance(conversation, Conversation)  # and not some other client's
    if theirs is not None and is_ours and not isinstance(conversation, theirs):
        conversation.__class__ = _both(type(conversation), theirs)


def _their_class(name: str) -> type | None:
    found: type | None = getattr(sys.modules.get("g4f.providers.response"), name, None)
    return found


_made: dict[tuple[type, type], type[Any]] = {}


def _both(ours: type, theirs: type) -> type[Any]:
    """Return a class that is both, always the same one; what pickle keeps of it is ours alone."""
    if (ours, theirs) in _made:
        return _made[ours, theirs]

    def reduced(self: object) -> tuple[Any, ...]:
        return _restored, (ours, vars(self))

    both = _made[ours, theirs] = type(ours.__name__, (ours, theirs), {"__reduce__": reduced})
    return both


def _restored(ours: type, state: dict[str, Any]) -> object:
    made: object = object.__new__(ours)
    vars(made).update(state)
    if isinstance(made, Conversation):
        _make_theirs_too(made)
    return made
