"""The frozen values of the record: conversations, messages, usage, remote threads, pages.

They know nothing of the database. Times are milliseconds since 1970-01-01 UTC (`_ms`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from convostore.ids import new_id
from convostore.parts import AttachmentPart, Part, TextPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterable

Status: TypeAlias = Literal["streaming", "completed", "stopped", "failed", "interrupted", "erased"]
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
ItemT = TypeVar("ItemT")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a model call cost, as the provider reported it; None is unknown, never zero.

    Attributes:
        input_tokens: tokens sent.
        output_tokens: tokens made, reasoning included where the provider counts it so.
        cached_tokens: of the input, those served from the provider's cache.
        reasoning_tokens: of the output, those of the reasoning.
        cost: in the provider's currency unit, usually US dollars.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The error a reply ended with, as it is kept in the record.

    Attributes:
        code: the stable word of the error's class (`convostore.errors`).
        message: one line.
        hint: what to do next, or empty.
        retryable: whether the same request may succeed later.
        unsettled: the far side may still have the whole reply: it did not say how it ended. It
            is asked again before anything more is sent.
    """

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    unsettled: bool = False


class Message(msgspec.Struct, frozen=True, gc=False):
    """One role's content, with a parent. It never changes once its status is final.

    Give its fields by name: their order is no promise (only reading gives them by place: it is 3x
    as fast). Being a value of values it is in no circle for the collector to look for.

    Attributes:
        id: UUIDv7.
        parent_id: the id of the message before it; None at a root.
        seq: its number in the conversation, from 1, in order of storing; 0 before it is stored.
        parent_seq: the parent's seq; None at a root.
        role: system, user, assistant or tool.
        author: who wrote it, where a room has several people; else None.
        status: see `Status`; `interrupted` also for a running reply whose writer died.
        text: the joined text parts.
        parts: the content in order; for plain messages one TextPart.
        provider: who answered; None for messages that no provider made.
        model: as answered.
        finish_reason: as the provider reported it; often None. Completion is told by status alone.
        error: what ended it, if it failed.
        idempotency_key: the caller's key for the exchange that made it.
        created_at_ms: when it was stored first.
        finished_at_ms: when its status became final.
        content_hash: sha256 in hex over parent's hash, role, text and parts; None while streaming.
        source_id: its id where it was imported from.
        author_id: who wrote it, by an id that stays when the author's name changes; the name
            itself, where no id was given.
    """

    role: Role
    text: str
    id: str = ""
    parent_id: str | None = None
    seq: int = 0
    parent_seq: int | None = None
    author: str | None = None
    status: Status = "completed"
    parts: tuple[Part, ...] = ()
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error: ErrorRecord | None = None
    idempotency_key: str | None = None
    created_at_ms: int = 0
    finished_at_ms: int | None = None
    content_hash: str | None = None
    source_id: str | None = None
    author_id: str | None = None

    @classmethod
    def user(
        cls,
        text: str,
        *,
        author: str | None = None,
        author_id: str | None = None,
        attachments: Iterable[AttachmentPart] = (),
    ) -> Message:
        """Make a finished user message, to be stored with `append`.

        Args:
            text: what was said.
            author: who said it, where a room has several people.
            author_id: who that is, by an id that stays; None is the author's name.
            attachments: what `Store.attach` returned; they stand before the text.
        """
        parts: tuple[Part, ...] = tuple(attachments)
        if parts and text:
            parts += (TextPart(text),)
        return cls(
            role="user", text=text, id=new_id(), author=author, parts=parts, author_id=author_id
        )

    @classmethod
    def assistant(
        cls, text: str, *, model: str | None = None, parts: tuple[Part, ...] = ()
    ) -> Message:
        """Make a finished assistant message, to be stored with `append`.

        Args:
            text: the answer; with *parts*, the joined text of its text parts.
            model: who answered.
            parts: the content in order, when it is more than text.
        """
        return cls(role="assistant", text=text, id=new_id(), model=model, parts=parts)

    @classmethod
    def tool(cls, call_id: str, content: str, *, name: str = "") -> Message:
        """Make a tool's result, to be stored with `append`; then `proceed` lets the model go on.

        Args:
            call_id: the id of the call that it answers (`ToolCallPart.id`).
            content: what the tool answered, as text.
            name: the tool's; empty is the one that was called.
        """
        part = ToolResultPart(call_id, name, content)
        return cls(role="tool", text="", id=new_id(), parts=(part,))

    @classmethod
    def system(cls, text: str) -> Message:
        """Make a system message, to be stored with `append` as the first one."""
        return cls(role="system", text=text, id=new_id())


class RemoteThread(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider's server keeps of an exchange. Its ids are secrets.

    Attributes:
        server_url: the server the ids belong to; they never go to another one.
        dialect: the protocol dialect, in the provider's words.
        remote_id: the server's id of the reply; the `parent_id` to continue from.
        user_remote_id: the server's id of the user message.
        root_id: the server's id of the thread's first message.
        same_text: True once the server is known to hold the reply as stored here.
        expires_at_ms: when the server forgets the thread; None is never or unknown.
    """

    server_url: str
    dialect: str
    remote_id: str
    user_remote_id: str | None = None
    root_id: str | None = None
    same_text: bool = False
    expires_at_ms: int | None = None

    def __repr__(self) -> str:
        """Show no id: whoever knows them can read the thread."""
        return f"<RemoteThread on {self.server_url}, dialect {self.dialect}>"


class ConversationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as it stood when it was read.

    Attributes:
        id: UUIDv7.
        handle: the short random name for people, 8 characters.
        key: the name a program gave it (`telegram:42`), or None.
        title: what lists show; None before the first message.
        title_source: user, generated, imported or fallback; None without a title.
        provider: the provider of the next turn, by name.
        model: the model of the next turn; None is the provider's first.
        anonymous_user_id: who the far side thinks we are; a secret.
        settings: options for the provider, such as temperature.
        metadata: the caller's own JSON object.
        head_seq: seq of the message at which it stands; None when it is empty.
        last_seq: the highest seq handed out.
        message_count: messages in the whole tree.
        interrupted_count: replies whose writer died.
        folder: one name, or None.
        tags: their names, in order.
        pinned: listed before the others.
        archived_at_ms: set when it is archived.
        deleted_at_ms: set while it is in the bin.
        expires_at_ms: when it may be removed by itself.
        created_at_ms: when it was made.
        updated_at_ms: its newest activity; never goes down.
        source: where it was imported from.
        source_id: its id there.
        scope: within what its messages' idempotency keys are told apart; None is its key, else
            its id.
    """

    id: str
    handle: str
    key: str | None = None
    title: str | None = None
    title_source: str | None = None
    provider: str | None = None
    model: str | None = None
    anonymous_user_id: str | None = None
    settings: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    head_seq: int | None = None
    last_seq: int = 0
    message_count: int = 0
    interrupted_count: int = 0
    folder: str | None = None
    tags: tuple[str, ...] = ()
    pinned: bool = False
    archived_at_ms: int | None = None
    deleted_at_ms: int | None = None
    expires_at_ms: int | None = None
    created_at_ms: int = 0
    updated_at_ms: int = 0
    source: str | None = None
    source_id: str | None = None
    scope: str | None = None

    def __repr__(self) -> str:
        """Show what a list shows, and no secrets."""
        return f"<ConversationRecord {self.handle} {self.title!r}, {self.message_count} messages>"


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations are meant: those of which all that is named here holds.

    Attributes:
        title: this text is in the title, in whatever letters and with whatever accents.
        provider: of the next turn, exactly; and so the model.
        tags: it has all of them.
        folder: it is in this one; "" is in none.
        key_prefix: its key begins so.
        since_ms: the newest activity was then or later.
        until_ms: the newest activity was before then.
        interrupted: it has a reply whose writer died (True), or has none (False).
        pinned: it is (True), or is not (False).
        archived: only those that are not (False), only those that are (True), or both (None);
            in the bin, False is both, too.
        deleted: only those in the bin; else none of them.
    """

    title: str | None = None
    provider: str | None = None
    model: str | None = None
    tags: tuple[str, ...] = ()
    folder: str | None = None
    key_prefix: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    interrupted: bool | None = None
    pinned: bool | None = None
    archived: bool | None = False
    deleted: bool = False


class Page(msgspec.Struct, Generic[ItemT], frozen=True):
    """One page of a list.

    Attributes:
        items: at most as many as were asked for.
        next_cursor: hand it back for the next page; None at the end. Opaque.
    """

    items: tuple[ItemT, ...]
    next_cursor: str | None = None


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """A place where what was searched for stands.

    Attributes:
        conversation_id: where.
        handle: its handle, and so its `title`.
        message_id: the message; None where it was found in the title.
        seq: the message's number; 0 is the title.
        role: the message's, or "title".
        status: the message's; a broken-off answer is found too.
        excerpt: cut from the text as it was written, on one line.
        marks: where the words stand in it: beginning and end, in order, apart from each other.
        created_at_ms: when it was stored first.
        score: how well it fits, higher is better; only hits of the same page can be compared.
            None where newest comes first.
    """

    conversation_id: str
    handle: str
    title: str | None
    message_id: str | None
    seq: int
    role: str
    status: Status | None
    excerpt: str
    marks: tuple[tuple[int, int], ...]
    created_at_ms: int
    score: float | None = None


class SearchPage(Page[SearchHit], frozen=True):
    """One page of what was found.

    Attributes:
        unindexed: marks at texts that this search may have missed, for they are not indexed yet;
            each stands for a turn or more. 0 is all is indexed.
        remarks: what of the query was not taken as it may have been meant, a line each.
    """

    unindexed: int = 0
    remarks: tuple[str, ...] = ()


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one model call cost, as the store keeps it; it outlives the reply.

    Attributes:
        id: UUIDv7.
        message_seq: the reply it paid for; None for a title, and once it is unknown.
        provider: who was paid.
        model: as answered.
        created_at_ms: when it was stored.
        usage: the numbers.
    """

    id: str
    message_seq: int | None
    provider: str | None
    model: str | None
    created_at_ms: int
    usage: Usage


class RemoteThreadNote(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a remote thread: everything but its ids, which are secrets.

    Attributes:
        message_seq: the reply it belongs to.
        server_url: as in `RemoteThread`, and so the others.
    """

    message_seq: int
    server_url: str
    dialect: str
    same_text: bool = False
    expires_at_ms: int | None = None


class ConversationDossier(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation with all that hangs on it, except its messages.

    Attributes:
        record: as read; its `last_seq` is where the messages that belong to this read end.
        usage: by time.
        remotes: by seq.
        changed_at_ms: when it came here, or came back, last: no activity, but news to those who
            know what was here before; None where it never did.
    """

    record: ConversationRecord
    usage: tuple[UsageRecord, ...] = ()
    remotes: tuple[RemoteThreadNote, ...] = ()
    changed_at_ms: int | None = None
