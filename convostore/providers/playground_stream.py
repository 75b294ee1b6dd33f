"""The Playground's stream: typed objects become events, without I/O.

.. code-block:: text

    dialect stream    message tree, chunks, (error), the same tree once more, final
    dialect threads   start, messages, typed chunks, messages again (each tool round), end

A reply is complete when its last object came, no error object did, and the body ended properly.
Source: Playground wire protocol, "What counts as a complete turn".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import msgspec

from convostore.errors import IncompleteReplyError, ProviderProtocolError, RemoteThreadGoneError
from convostore.events import (
    Finished,
    ReasoningDelta,
    RemoteUpdate,
    TextDelta,
    ToolCallDelta,
    ToolResultDelta,
)
from convostore.providers.playground_errors import (
    NAME,
    OTHER_URL,
    broken_off,
    redacted,
    reported_error,
)
from convostore.providers.playground_objects import (
    IGNORED,
    Dialect,
    Line,
    RemoteMessage,
    RemoteMessages,
    RemoteToolCall,
    StreamObject,
)
from convostore.records import RemoteThread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convostore.errors import ProviderError
    from convostore.events import Event
    from convostore.providers.rehydrate import FirstContent

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024  # of all text of a reply; thousands of times a long answer


class ReplyDecoder:
    """Turn the objects of one stream into events, in order.

    Feed it every object, then call `end` once the body ended properly, or `broken` if it did
    not. The first event is a RemoteUpdate.

    Args:
        server_url: the server's URL, for the remote thread.
        dialect: by which path the request went.
        continued: the remote thread that the request continues; None for a new one.
        first: what a new remote thread was sent, to be reported with its ids.
        secret: the anonymous user id, blanked out of errors.
    """

    def __init__(
        self,
        *,
        server_url: str,
        dialect: Dialect,
        continued: RemoteThread | None = None,
        first: FirstContent | None = None,
        secret: str = "",
    ) -> None:
        self._server_url = server_url
        self._dialect = dialect
        self._continued = continued
        self._first = first
        self._secret = secret
        self._start: str | None = None  # root named by the start mark; None in dialect stream
        self._messages: dict[str, RemoteMessage] = {}  # of this exchange, newest state
        self._given: set[str] = set()  # tool results that went out, or were there before
        self._tools: dict[str, bool] = {}  # call id -> whether arguments came as text
        self._pieces: list[str] = []  # of the answer
        self._size = 0  # bytes of text of all kinds
        self._reason: str | None = None  # of the error object, once there was one
        self._description = ""  # that came with it
        self._last_came = False  # the final tree, or the end mark

    def feed(self, found: StreamObject) -> Iterable[Event]:
        """Take the next object and return what it means, to be read before the next one.

        Raises:
            ProviderProtocolError: an object that cannot stand here.
            IncompleteReplyError: the reply is larger than the limit.
            RemoteThreadGoneError: the server continues another thread than it was asked to.
        """
        if isinstance(found, Line):
            kind = found.type
            if kind == "modelResponse" or (kind is None and found.content is not None):
                text = found.content or ""
                self._count(text)
                self._pieces.append(text)
                return (TextDelta(text),)  # nearly every line: no generator for it
            return self._line(found)
        if isinstance(found, RemoteMessages):
            if self._start is None:
                self._refuse("messages before the start mark")
            return self._state(found.messages)
        if self._start is not None:
            self._refuse("a message tree after a start mark")
        return self._tree(found)

    def end(self) -> Iterator[Event]:
        """Yield Finished: the body ended properly.

        Raises:
            IncompleteReplyError: the reply is not complete all the same. Where the server kept
                the text as shown, a RemoteUpdate that says so comes first.
            ContextLengthError: the server reported that the conversation is too long.
        """
        if self._last_came and self._reason is None:
            yield self._finished()
            return
        if self._last_came and self._start is None and self._same_text():
            yield RemoteUpdate(self._remote(same_text=True))
        raise self.broken("the server closed the connection before its end")

    def broken(self, why: str) -> ProviderError:
        """Return what a stream that broke means: what the server reported before, if it did."""
        if self._reason is None:
            return broken_off(why)
        return reported_error(
            redacted(self._reason, self._secret),
            had_text=any(map(str.strip, self._pieces)),
            description=redacted(self._description, self._secret),
        )

    # Lines

    def _line(self, line: Line) -> Iterator[Event]:
        kind = line.type
        if line is IGNORED:
            return
        if kind == "thinking":
            text = line.content or ""
            self._count(text)
            yield ReasoningDelta(text)
        elif kind == "toolCall":
            yield from self._tool_call(line)
        elif kind == "error" or line.error is not None:
            if self._reason is None:
                self._reason = line.reason or line.error_code or "error"
                self._description = line.error_description or ""
        elif kind == "start":
            if self._start is not None or self._messages:
                self._refuse("a second start mark")
            self._start = line.message or ""
            self._check_root(self._start)
        elif kind == "end":
            if not self._messages:
                self._refuse("an end mark before the messages")
            self._last_came = True
        else:
            self._refuse("an object of no known kind")

    def _count(self, text: str) -> None:
        if not self._messages or self._last_came:
            self._refuse("a piece of the reply outside of it")
        self._size += len(text) if text.isascii() else len(text.encode())
        if self._size > ANSWER_LIMIT_BYTES:
            raise IncompleteReplyError(
                f"the reply is larger than {ANSWER_LIMIT_BYTES:,} bytes and was cut off",
                provider=NAME,
                hint="ask for less at once",
                status=200,
            )

    def _tool_call(self, line: Line) -> Iterator[Event]:
        """Yield the next piece of a call's arguments.

        Arguments that come as an object are complete: after pieces of text they say it again.
        """
        call_id = line.tool_call_id or ""
        is_new = call_id not in self._tools
        came_as_text = self._tools.setdefault(call_id, False)
        if isinstance(line.args, str):
            args = line.args
            self._tools[call_id] = came_as_text or bool(args)
        elif line.args is None or came_as_text:
            args = ""
        else:
            args = msgspec.json.encode(line.args).decode()
            self._tools[call_id] = True
        self._count(args)
        yield ToolCallDelta(call_id, (line.tool_name or "") if is_new else "", args)

    # Messages

    def _tree(self, tree: RemoteMessage) -> Iterator[Event]:
        if self._messages and tree.final and tree.id in self._messages:
            self._last_came = True
        yield from self._state(tree.flat())

    def _state(self, messages: Iterable[RemoteMessage]) -> Iterator[Event]:
        is_first = not self._messages
        self._messages |= {message.id: message for message in messages}
        if is_first:
            if self._assistant() is None or self._user_id() is None:
                self._refuse("a first object without a question and its reply")
            self._given.update(self._messages)
            if self._start is None:
                self._check_root(next(iter(self._messages.values())).root or "")
            yield RemoteUpdate(
                self._remote(same_text=False),
                rehydrated=self._first is not None and self._first.rehydrated,
                dropped_turns=self._first.dropped_turns if self._first is not None else 0,
            )
        for message in self._messages.values():
            if message.role == "tool_call_result" and message.id not in self._given:
                self._given.add(message.id)
                self._count(message.text)
                call = message.tool_calls[0] if message.tool_calls else RemoteToolCall()
                yield ToolResultDelta(call.id, call.name, message.text)

    def _check_root(self, root: str) -> None:
        """Notice a thread whose older turns the server cut loose.

        Source: Playground wire protocol, "The branch bug": after a branch, the older one loses
        its beginning, and the next turn names another root. The model then does not know it.
        """
        known = self._continued.root_id if self._continued is not None else None
        if known and root and root != known:
            raise RemoteThreadGoneError(
                "the Playground server lost the beginning of this conversation",
                provider=NAME,
                hint="send it again: the earlier turns then go along as text",
                status=200,
            )

    def _assistant(self) -> RemoteMessage | None:
        """Return the newest reply: the one to continue from."""
        return next((m for m in reversed(self._messages.values()) if m.role == "assistant"), None)

    def _user_id(self) -> str | None:
        sent = [m for m in self._messages.values() if m.role in {"user", "tool_call_result"}]
        users = [m for m in sent if m.role == "user"]
        return (users or sent)[-1].id if sent else None

    def _remote(self, *, same_text: bool) -> RemoteThread:
        messages = list(self._messages.values())
        assistant = self._assistant()
        before = self._continued
        times = [message.expires_at_ms for message in messages]
        times.append(before.expires_at_ms if before is not None else None)
        return RemoteThread(
            server_url=self._server_url,
            dialect=self._dialect,
            remote_id=assistant.id if assistant is not None else "",
            user_remote_id=self._user_id(),
            root_id=self._start or messages[0].root or messages[0].id,
            same_text=same_text,
            # The root goes first, and with it the thread; its time is the earliest.
            expires_at_ms=min((time for time in times if time is not None), default=None),
        )

    # The end

    def _final_text(self) -> str:
        return "".join(m.text for m in self._messages.values() if m.role == "assistant")

    def _same_text(self) -> bool:
        return _lf("".join(self._pieces)) == _lf(self._final_text())

    def _is_held_as_final(self) -> bool:
        """Tell whether the server says of every reply that its text is the final one."""
        replies = [m for m in self._messages.values() if m.role == "assistant"]
        return all(m.final and m.content is not None for m in replies)

    def _finished(self) -> Finished:
        shown, final = "".join(self._pieces), self._final_text()
        same = self._same_text()
        # In dialect threads the final text may be less than what was streamed: keep the most.
        held = self._start is None or final.startswith(shown)
        replaces = not same and held and self._is_held_as_final()
        assistant = self._assistant()
        return Finished(
            model=assistant.model if assistant is not None else None,
            finish_reason=assistant.finish_reason if assistant is not None else None,
            remote=self._remote(same_text=same or replaces),
            text=final if replaces else None,
        )

    def _refuse(self, what: str) -> NoReturn:
        raise ProviderProtocolError(
            f"the Playground server sent {what}", provider=NAME, hint=OTHER_URL, status=200
        )


def _lf(text: str) -> str:
    """Return *text* as the server compares it: newer servers turn CRLF into LF."""
    return text.replace("\r\n", "\n")
