"""What a list of messages in gpt4free's form means: what was said before, and what is asked now."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

from convostore.errors import ProviderError
from convostore.ids import new_id
from convostore.providers.playground import Playground
from convostore.records import ROLES, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convostore.records import Role

Said: TypeAlias = dict[str, str]  # {"role": ..., "content": ...}

GO_ON = "Go on with your last message, exactly from where it ends."
_TOOL = "Tool: "  # how gpt4free's own client names the role in its one prompt
_OTHER_WORDS = {"developer": "system", "function": "tool"}  # for our roles


def read(message: Mapping[str, Any]) -> Said:
    """Return a message as role and text; of a list of typed items the texts, joined.

    Raises:
        ProviderError: a role that nobody knows.
    """
    role, content = message.get("role", "user"), message.get("content")
    role = _OTHER_WORDS.get(role, role)
    if role not in ROLES:
        raise ProviderError(
            f"there is no role {role!r}",
            provider=Playground.name,
            hint=f"roles: {', '.join(ROLES)}",
        )
    if message.get("tool_calls"):
        leave_out("tool_calls")
    return {"role": role, "content": _text(content)}


def whole(said: Iterable[Said]) -> tuple[list[Said], str]:
    """Split a list that is the whole prompt into what goes before, and the question.

    Nothing is lost: a tool's message becomes the user's, as a Playground thread has no tools of a
    client's; after a beginning of the answer the question is to go on with it; any other message
    behind the question goes before it.

    Raises:
        ProviderError: no user message is in it.
    """
    told = [_told(one) for one in said]
    asked = [at for at, one in enumerate(told) if one["role"] == "user"]
    if not asked:
        raise _nothing_asked()
    after = told[asked[-1] + 1 :]
    if any(one["role"] == "assistant" and one["content"] for one in after):
        before, question = told, GO_ON
    else:
        before, question = [*told[: asked[-1]], *after], told[asked[-1]]["content"]
    return [one for one in before if one["content"]], question


def newest(said: Iterable[Said]) -> str:
    """Return what is new in a list whose beginning the conversation has: the last user message.

    What tools said after it goes along; without one, what they said after the last answer is it.

    Raises:
        ProviderError: there is no such message.
    """
    found: list[str] = []
    for one in reversed(list(said)):
        if one["role"] == "assistant" and found:
            break
        if one["role"] in {"user", "tool"}:
            found.append(_told(one)["content"])
        if one["role"] == "user":
            break
    if not found:
        raise _nothing_asked()
    return "\n\n".join(reversed(found))


def messages_of(said: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Return messages to be stored; those without text are none.

    Raises:
        ProviderError: a role that nobody knows.
    """
    told = [_told(read(one)) for one in said]
    return [
        Message(role=_role(one), text=one["content"], id=new_id()) for one in told if one["content"]
    ]


def leave_out(what: str) -> None:
    """Warn that a part of a message is not sent."""
    warnings.warn(f"only text is sent to the Playground; left out: {what}", stacklevel=2)


def _told(one: Said) -> Said:
    if one["role"] != "tool" or not one["content"]:
        return one
    return {"role": "user", "content": _TOOL + one["content"]}


def _text(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, (list, dict)):
        return str(content)
    items = [
        item if isinstance(item, dict) else {"text": item}
        for item in (content if isinstance(content, list) else [content])
    ]
    for item in items:
        if not isinstance(item.get("text"), str):
            leave_out(str(item.get("type", "an item without text")))
    return "".join(item["text"] for item in items if isinstance(item.get("text"), str))


def _role(said: Said) -> Role:
    return next(known for known in ROLES if known == said["role"])


def _nothing_asked() -> ProviderError:
    return ProviderError("there is no user message to send", provider=Playground.name)
