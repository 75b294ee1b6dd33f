"""The stream of a chat completion: chunks become events, without I/O.

.. code-block:: text

    a role  ->  reasoning, text, tool calls, in any order  ->  a finish reason  (->  usage, [DONE])

Servers agree on this and on little else. A reply is complete when a finish reason came; what
follows may be missing, and a body that ends without one was cut off, whoever closed it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.errors import IncompleteReplyError, ModerationRefusedError
from convostore.events import Finished, ReasoningDelta, TextDelta
from convostore.providers.openai_calls import CallReader
from convostore.providers.openai_errors import (
    Server,
    broken_off,
    cut_off,
    not_the_protocol,
    reported_error,
)
from convostore.providers.openai_usage import usage_of
from convostore.providers.sse import SIGN_OF_LIFE, ServerEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.errors import ProviderError
    from convostore.events import Event
    from convostore.records import Usage

ANSWER_LIMIT_BYTES: Final = 16 * 1024 * 1024  # of all text of a reply, as of one message
_ALIVE: Final = TextDelta("")  # so that a turn does not count a working server as silent
_CALL_BYTES: Final = 64  # what a piece of a call takes besides its arguments, about
_DONE: Final = b"[DONE]"


class ReplyDecoder:
    """Turn the events of one stream, or one whole answer, into events of a reply, in order.

    Args:
        server: whose answer it is, for errors.

    Attributes:
        done: the server said that nothing more comes.
        finish_reason: why the model ended; None as long as it has not.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._calls = CallReader()
        self._halves = {"text": "", "reasoning": ""}  # of a character that was cut in two
        self._size = 0  # bytes of text of all kinds
        self._has_text = self.done = False
        self._model: str | None = None
        self._usage: Usage | None = None
        self.finish_reason: str | None = None

    def feed(self, event: ServerEvent) -> Iterator[Event]:
        """Yield what the next event of the stream brings; at least a sign of life.

        Raises:
            ProviderProtocolError: an event that is no chunk.
            ProviderError: the server reports an error.
            IncompleteReplyError: the reply is larger than the limit.
        """
        data = event.data.strip()
        if event is SIGN_OF_LIFE or not data:
            yield _ALIVE
        elif data == _DONE or self.done:
            self.done = True  # it says that nothing more comes, not that the model has ended
        elif event.kind == "error":
            raise self._reported(_json(data, data.decode("utf-8", "replace")))
        else:
            chunk = _json(data)
            if not isinstance(chunk, dict):
                raise not_the_protocol(self._server, "a chunk is no JSON object", data)
            yield from self._chunk(chunk)

    def last(self, event: ServerEvent) -> Iterator[Event]:
        """Yield what an event brings whose end was cut off, if it turns out to be whole.

        Raises:
            ProviderError: as `feed`.
        """
        if isinstance(_json(event.data), dict):
            yield from self.feed(event)

    def whole(self, body: bytes) -> Iterator[Event]:
        """Yield what an answer brings that came in one piece, from a server that does not stream.

        Raises:
            ProviderProtocolError: it is no chat completion.
            ProviderError: as `feed`.
        """
        answer = _json(body)
        if not isinstance(answer, dict) or not (answer.keys() & {"choices", "error", "detail"}):
            raise not_the_protocol(self._server, "the answer is no chat completion", body)
        if "choices" not in answer:
            raise self._reported(answer)
        yield from self._chunk(answer)

    def finished(self) -> Finished:
        """Return the end of the reply: the body has ended.

        Raises:
            IncompleteReplyError: no finish reason came.
            ModerationRefusedError: the server took the whole answer back.
        """
        if self.finish_reason is None:
            raise cut_off(self._server)
        if self.finish_reason == "content_filter" and not self._has_text:
            raise ModerationRefusedError(
                f"{self._server.name} refuses to answer this (its content filter)",
                provider=self._server.provider,
                hint="say it differently, or ask another model",
                status=200,
            )
        return Finished(model=self._model, finish_reason=self.finish_reason, usage=self._usage)

    def broken(self, why: str) -> ProviderError | None:
        """Return what it means that the body broke off; None where the reply was complete."""
        return None if self.finish_reason is not None else broken_off(self._server, why)

    # Chunks

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[Event]:
        if isinstance(model := chunk.get("model"), str) and model:
            self._model = model
        error, came = chunk.get("error"), False
        self._count_tokens(chunk.get("usage"))
        for choice in _objects(chunk.get("choices")):
            if (index := choice.get("index")) is not None and index != 0:
                continue  # nobody asked for another
            self._count_tokens(choice.get("usage"))
            for event in self._choice(choice):
                came = True
                yield event
            error = error or choice.get("error")
        if error or chunk.get("object") == "error" or self.finish_reason == "error":
            raise self._reported(chunk if error is None else {"error": error})
        if not came:
            yield _ALIVE

    def _choice(self, choice: dict[str, Any]) -> Iterator[Event]:
        said = choice.get("delta") or choice.get("message")
        if isinstance(said, dict):
            thought = said.get("reasoning_content") or said.get("reasoning")
            if isinstance(thought, str) and (thought := self._counted("reasoning", thought)):
                yield ReasoningDelta(thought)
            yield from self._content(said.get("content"))
            yield from self._content(said.get("refusal"))
            for call in self._calls.read(said):
                self._count(_CALL_BYTES + len(call.args.encode("utf-8", "replace")))
                self._has_text = True
                yield call
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self.finish_reason = reason

    def _content(self, content: object) -> Iterator[Event]:
        """Yield a piece of content: text, or parts of text and of thoughts."""
        if isinstance(content, str):
            if text := self._counted("text", content):
                self._has_text = True
                yield TextDelta(text)
            return
        for part in _objects(content):
            thoughts = part.get("thinking")
            for thought in _objects(thoughts) if isinstance(thoughts, list) else ():
                if text := self._counted("reasoning", str(thought.get("text") or "")):
                    yield ReasoningDelta(text)
            yield from self._content(str(part.get("text") or ""))

    def _counted(self, kind: str, text: str) -> str:
        """Return *text*, put together where a character came in two chunks; count it."""
        text = self._halves[kind] + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._halves[kind] = text[:-1], text[-1]
        elif self._halves[kind]:
            self._halves[kind] = ""
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._count(len(text) if text.isascii() else len(text.encode("utf-8", "replace")))
        return text

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > ANSWER_LIMIT_BYTES:
            raise IncompleteReplyError(
                f"the reply is larger than {ANSWER_LIMIT_BYTES:,} bytes and was cut off",
                provider=self._server.provider,
                hint="ask for less at once",
                status=200,
            )

    def _count_tokens(self, usage: object) -> None:
        """Keep what is told of the tokens; it may come with every chunk, and the last one counts."""
        if isinstance(usage, dict) and usage:
            self._usage = usage_of(usage)

    def _reported(self, body: object) -> ProviderError:
        return reported_error(self._server, body, had_text=self._has_text)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one


def _json(data: bytes, otherwise: object = None) -> object:
    """Return the value of *data*; *otherwise* where it is no JSON.

    Some servers cut text between the halves of a character; the library in C takes no halves.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return otherwise
