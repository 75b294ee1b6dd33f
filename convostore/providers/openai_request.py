"""What a chat completion is asked with: messages, files, options."""

from __future__ import annotations

import base64
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.errors import AttachmentRefusedError, ContextLengthError, ProviderOptionError
from convostore.media_types import is_text
from convostore.providers.openai_errors import NAME
from convostore.text import secret_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convostore.parts import AttachmentPart
    from convostore.providers.provider import ChatMessage, ChatRequest

REQUEST_LIMIT_BYTES: Final = 64 * 1024 * 1024  # of all text; more than any server takes
FILES_LIMIT_BYTES: Final = 32 * 1024 * 1024  # OpenAI takes 50 MB, and four thirds of this is less
_OWN: Final = {
    "messages": "the conversation has them",
    "stream": "answers are always streamed",
    "model": "name it with: -m MODEL",
}


def check_request(request: ChatRequest) -> None:
    """Refuse what cannot work, or would break the protocol.

    Raises:
        ProviderOptionError: an option; its value is not repeated.
        ContextLengthError: the text is larger than any server takes.
    """
    for name, value in request.settings.items():
        _check_option(name, value)
    size = sum(
        len(said.text) + sum(len(call.args) for call in said.calls) for said in request.messages
    )
    if size > REQUEST_LIMIT_BYTES:
        raise ContextLengthError(
            f"the conversation has {size:,} characters; no server takes that many",
            provider=NAME,
            hint="start a new conversation",
        )


def _check_option(name: str, value: object) -> None:
    if secret_in({name: value}) is not None:
        raise ProviderOptionError(
            f"the option {name} would be stored with the conversation, and a key must not be",
            provider=NAME,
            hint="give the key with: convostore keys set",
        )
    if name in _OWN:
        raise ProviderOptionError(
            f"{name} is no option: {_OWN[name]}", provider=NAME, hint="leave it out"
        )
    if name == "n" and (value is not None and (value != 1 or isinstance(value, bool))):
        raise ProviderOptionError(
            "the option n must be 1: a turn has one reply",
            provider=NAME,
            hint="ask for others with: convostore regenerate",
        )


def check_files(request: ChatRequest, *, takes_images: bool | None) -> None:
    """Refuse what is attached to the new message and cannot be sent.

    Args:
        request: the request.
        takes_images: whether the model does; None is unknown, and then the server decides.

    Raises:
        AttachmentRefusedError: with a hint; permanent.
    """
    for part in request.messages[-1].attachments:
        name = part.name or "a file"
        if is_image(part) and takes_images is False:
            raise _refused(f"the model takes no images, and {name} is one", "choose another model")
        if not is_image(part) and not is_text(part.media_type):
            raise _refused(
                f"{name} is {part.media_type}; images and texts alone can be sent",
                "attach another kind, or the text of it",
            )
    size = sum(part.size for part in files_of(request, takes_images=takes_images))
    if size > FILES_LIMIT_BYTES:
        raise _refused(
            f"the files of the conversation have {size:,} bytes; {FILES_LIMIT_BYTES:,} can be sent",
            "attach less, or begin a new conversation",
        )


def is_image(part: AttachmentPart) -> bool:
    """Tell whether a file can go as an image; SVG is text to draw by, and no model takes it."""
    return part.media_type.startswith("image/") and "svg" not in part.media_type


def files_of(request: ChatRequest, *, takes_images: bool | None) -> list[AttachmentPart]:
    """Return the files that go along, of all the user's messages: the server keeps none."""
    return [
        part
        for message in request.messages
        for part in message.attachments
        if message.role == "user"  # of others servers take text alone
        and ((is_image(part) and takes_images is not False) or is_text(part.media_type))
    ]


async def contents(request: ChatRequest, files: Iterable[AttachmentPart]) -> dict[str, bytes]:
    """Read files, by their hash."""
    found: dict[str, bytes] = {}
    for part in files:
        if part.sha256 not in found:
            async with aclosing(request.content(part)) as pieces:
                found[part.sha256] = b"".join([piece async for piece in pieces])
    return found


def body_of(
    request: ChatRequest, model: str, files: Mapping[str, bytes], *, reasoning_as: str | None = None
) -> bytes:
    """Return the request as JSON.

    Args:
        request: what is asked.
        model: which model.
        files: the contents of those that go along, by hash.
        reasoning_as: the field in which the model's own thoughts go back; None is nowhere.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(said, files, reasoning_as) for said in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **request.settings,
    }
    return msgspec.json.encode({name: one for name, one in body.items() if one is not None})


def _message(
    said: ChatMessage, files: Mapping[str, bytes], reasoning_as: str | None
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": said.role, "content": _content(said, files)}
    if (result := said.result) is not None:
        message["tool_call_id"] = result.id
    if said.calls:
        message["content"] = message["content"] or None  # as servers themselves send it
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.args},
            }
            for call in said.calls
        ]
    if reasoning_as is not None and said.reasoning:
        message[reasoning_as] = said.reasoning
    return message


def _content(said: ChatMessage, files: Mapping[str, bytes]) -> str | list[dict[str, Any]]:
    if not said.attachments:
        return said.text
    if said.role != "user":
        files = {}
    parts = [_file(part, files.get(part.sha256)) for part in said.attachments]
    return [*([{"type": "text", "text": said.text}] if said.text else []), *parts]


def _file(part: AttachmentPart, content: bytes | None) -> dict[str, Any]:
    """Return a file as a part of a message; of one that does not go along, its name."""
    name = part.name or part.sha256[:12]
    if content is None:
        return {"type": "text", "text": f"(Attached, and not sent: {name}, {part.media_type}.)"}
    if is_text(part.media_type):
        text = content.decode("utf-8", "replace")
        return {"type": "text", "text": f"(Attached: {name}, {part.media_type}.)\n\n{text}"}
    data = base64.b64encode(content).decode()
    url = f"data:{part.media_type};base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}


def _refused(message: str, hint: str) -> AttachmentRefusedError:
    return AttachmentRefusedError(message, provider=NAME, hint=hint)
