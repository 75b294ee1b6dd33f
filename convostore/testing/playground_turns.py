"""Begins a turn on a Playground server: the checks against what is kept, and the new messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from convostore.testing import playground_wire as wire
from convostore.testing.playground_models import Dialect, PlaygroundModel, tool_definition
from convostore.testing.playground_rules import (
    Problem,
    RefusedError,
    SendRequest,
    check_limits,
    checker_for,
)
from convostore.testing.playground_stream import Exchange
from convostore.testing.playground_threads import (
    ANONYMOUS_LIFE_MS,
    KeptMessage,
    KeptThreads,
    new_message_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UNSAFE_WORD = "UNSAFE_WORD"  # what the moderation of this server refuses
CaptchaMode: TypeAlias = Literal["off", "optional", "required"]
_CAPTCHA_ERRORS = {"bad": "invalid_captcha", "bot": "failed_captcha_assessment"}
_PRESET_OPTIONS = {"max_tokens": 2048, "temperature": 0.7, "top_p": 1.0}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a client's name, and whether it is only an anonymous id."""

    client: str
    is_anonymous: bool


@dataclass(slots=True, kw_only=True)
class TurnDesk:
    """Check a request against what is kept, and make the new messages."""

    dialect: Dialect
    kept: KeptThreads
    models: list[PlaygroundModel]
    captcha: CaptchaMode
    now_ms: Callable[[], int]

    def begin(self, request: SendRequest, form: dict[str, Any], caller: Caller) -> Exchange:
        """Make the turn's messages.

        Raises:
            RefusedError: the server does not accept the request; nothing is kept.
        """
        turn = _NewTurn(self, request, caller)
        turn.check(form)
        return turn.make()

    def put_in_mouth(
        self, request: SendRequest, form: dict[str, Any], caller: Caller
    ) -> KeptMessage:
        """Keep an assistant message that the caller wrote; no model is asked.

        Raises:
            RefusedError: the server does not accept the request.
        """
        turn = _NewTurn(self, request, caller)
        turn.check(form)
        message = turn.message("assistant", request.content, turn.parent)
        message.final = True
        return self.kept.add(message)


class _NewTurn:
    """One request on its way to messages."""

    def __init__(self, desk: TurnDesk, request: SendRequest, caller: Caller) -> None:
        self._desk = desk
        self._request = request
        self._caller = caller
        self._newer = desk.dialect == "threads"
        self.parent = desk.kept.live(request.parent)
        self._root = desk.kept.live(self.parent.root) if self.parent else None
        self._private = caller.is_anonymous or request.private
        self._opts = self._merge_options()
        self._model: PlaygroundModel | None = None

    def check(self, form: dict[str, Any]) -> None:
        """Check in the order of the real server.

        Raises:
            RefusedError: with the status and text of the real server.
        """
        request, desk = self._request, self._desk
        if self._newer:
            self._find_model(form)
        self._check_thread()
        if self._newer:
            check_limits(self._opts)
        else:
            self._find_model(form)
        if desk.captcha != "off" and request.captcha_token in _CAPTCHA_ERRORS:
            raise RefusedError(400, _CAPTCHA_ERRORS[request.captcha_token])
        if request.bypass_safety_check:
            raise RefusedError(403, "User is not allowed to change this setting")
        if request.role == "user" and UNSAFE_WORD in request.content:
            older = desk.dialect == "stream"
            raise RefusedError(
                400, "inappropriate_prompt" if older else "inappropriate_prompt_text"
            )
        if request.original is not None and desk.kept.live(request.original) is None:
            raise RefusedError(400, f'original "{request.original}" not found')
        if "\0" in request.content or (self._newer and request.role == "assistant"):
            raise RefusedError(500)

    def make(self) -> Exchange:
        """Keep the new messages and return the turn."""
        kept, new = self._desk.kept, []
        above = self.parent
        system_prompt = self._model.system_prompt if self._model else None
        if above is None and system_prompt is not None:
            above = kept.add(self.message("system", system_prompt, None, harmful=False))
            new.append(above)
        asked = kept.add(self._asking_message(above))
        exchange = Exchange(
            dialect=self._desk.dialect,
            kept=kept,
            new=[*new, asked],
            first_id=kept.path(asked)[0].id,
            new_reply=self._new_reply,
            new_tool_result=self._new_tool_result,
        )
        exchange.next_round()
        return exchange

    def message(
        self, role: str, content: str, parent: KeptMessage | None, *, harmful: bool | None = None
    ) -> KeptMessage:
        """Make a message of this turn, not yet kept."""
        now_ms = self._desk.now_ms()
        message_id = new_message_id()
        return KeptMessage(
            id=message_id,
            role=role,
            content=content,
            creator=self._caller.client,
            root=parent.root if parent else message_id,
            parent=parent.id if parent else None,
            created_ms=now_ms,
            expires_ms=now_ms + ANONYMOUS_LIFE_MS if self._caller.is_anonymous else None,
            model_id=self._request.model,
            model_host=self._model.host if self._newer and self._model else self._request.host,
            opts=dict(self._opts),
            private=self._private,
            template=self._request.template,
            harmful=harmful,
        )

    def _asking_message(self, above: KeptMessage | None) -> KeptMessage:
        request = self._request
        message = self.message(
            request.role, request.content, above, harmful=None if self._newer else False
        )
        message.original = request.original
        message.tool_definitions = self._tools()
        message.input_parts = request.input_parts
        if request.role == "tool_call_result" and above is not None:
            message.harmful, message.model_type, message.final = False, "chat", True
            message.tool_calls = [
                call for call in above.tool_calls if call["toolCallId"] == request.tool_call_id
            ]
        return message

    def _new_reply(self, above: KeptMessage) -> KeptMessage:
        reply = self.message("assistant", "", above)
        reply.model_type = "chat"
        reply.tool_definitions = above.tool_definitions
        return self._desk.kept.add(reply)

    def _new_tool_result(self, above: KeptMessage, content: str) -> KeptMessage:
        result = self.message("tool_call_result", content, above, harmful=False)
        result.model_type, result.final = "chat", True
        result.tool_calls, result.tool_definitions = above.tool_calls, above.tool_definitions
        return self._desk.kept.add(result)

    def _tools(self) -> list[dict[str, Any]]:
        if self.parent is not None:
            return self.parent.tool_definitions  # tools are chosen on the first turn only
        chosen = [tool_definition(name) for name in self._request.selected_tools]
        return chosen + [_user_tool(tool) for tool in self._request.tool_definitions]

    def _merge_options(self) -> dict[str, Any]:
        request = self._request
        if not self._newer:
            return {**request.numbers, "stop": request.stop}
        inherited = self.parent.opts if self.parent else {}
        merged = {**_PRESET_OPTIONS, "logprobs": None, "n": 1, "stop": [], **inherited}
        given = {name: value for name, value in request.numbers.items() if value is not None}
        return merged | given | ({"stop": request.stop} if request.stop else {})

    def _find_model(self, form: dict[str, Any]) -> None:
        request = self._request
        self._model = next((m for m in self._desk.models if m.id == request.model), None)
        if self._newer:
            if self._model is None:
                raise RefusedError(400, f"Invalid model {request.model}")
            return
        engine = "inferd" if request.host == "inferd" else "modal"
        if self._model is None or self._model.host != engine:
            text = f"model {request.model} is not available on {form.get('host')}"
            raise RefusedError(400, text)

    def _check_thread(self) -> None:
        request, parent, root = self._request, self.parent, self._root
        if request.parent is not None and parent is None:
            raise self._invalid(f"Parent message {request.parent} not found")
        if parent is None:
            if request.role == "tool_call_result":
                raise self._invalid("Tool response must have parent")
            return
        if root is None:
            raise self._invalid(f"Message has an invalid root {parent.root}")
        if not self._newer:
            self._check_roles(parent)
        if root.private != self._private:
            raise self._invalid("Visibility must be identical for all messages in a thread")
        if root.creator != self._caller.client:
            raise RefusedError(403)
        if request.role == "tool_call_result" and request.tool_call_id is None:
            raise self._invalid("Tool response must have tool call id")
        if self._newer:
            self._check_roles(parent)

    def _check_roles(self, parent: KeptMessage) -> None:
        if parent.role == self._request.role and parent.role != "tool_call_result":
            raise self._invalid("Parent and child must have different roles")

    def _invalid(self, text: str) -> RefusedError:
        problem = Problem((), f"Value error, {text}", "value_error", self._shown_input())
        return checker_for(self._desk.dialect).refusal(
            "CreateMessageRequestWithFullMessages", [problem]
        )

    def _shown_input(self) -> dict[str, Any]:
        """Return what the oldest server repeats in the error: the whole thread."""
        request = self._request
        shown: dict[str, Any] = {
            "parent_id": request.parent,
            "parent": self._tree(self.parent),
            "opts": self._opts,
            "content": request.content,
            "role": request.role,
            "original": request.original,
            "private": self._private,
            "root": self._tree(self._root),
            "template": request.template,
            "model": request.model,
        }
        if self._newer:
            return shown | {
                "client": self._caller.client,
                "mcp_server_ids": None,
                "max_steps": None,
            }
        return shown | {"host": request.host, "client": self._caller.client, "files": []}

    def _tree(self, message: KeptMessage | None) -> dict[str, Any] | None:
        return tree(self._desk.kept, message) if message else None


def tree(kept: KeptThreads, message: KeptMessage, *, newer: bool = False) -> dict[str, Any]:
    """Return a message in the nested shape with everything below it."""
    children = [tree(kept, child, newer=newer) for child in kept.children(message)]
    return wire.nested(message, children, newer=newer)


def _user_tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": tool.get("description"),
        "name": tool.get("name"),
        "parameters": tool.get("parameters"),
        "toolSource": "user_defined",
    }
