"""How kept messages look on the wire, in each dialect."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from convostore.testing.playground_form import camel

if TYPE_CHECKING:
    from convostore.testing.playground_threads import KeptMessage

_SNIPPET_WORDS = 16  # Source: olmo-api, map_text_snippet


def line(value: dict[str, Any]) -> bytes:
    """Return one line of a stream: pure ASCII JSON and a line feed."""
    return json.dumps(value).encode("ascii") + b"\n"


def document(value: Any) -> bytes:
    """Return a JSON body; its keys are sorted."""
    return json.dumps(value, sort_keys=True).encode("ascii")


def nested(
    message: KeptMessage, children: list[dict[str, Any]] | None, *, newer: bool = False
) -> dict[str, Any]:
    """Return a message in snake_case with its children inside it; no children are null."""
    shape: dict[str, Any] = {
        "id": message.id,
        "content": message.content,
        "snippet": snippet(message.content),
        "creator": message.creator,
        "role": message.role,
        "opts": {
            name: message.opts[name]
            for name in ("max_tokens", "temperature", "n", "top_p", "logprobs", "stop")
        },
        "root": message.root,
        "created": _time(message.created_ms),
        "model_id": message.model_id,
        "model_host": message.model_host,
        "deleted": None,
        "parent": message.parent,
        "template": message.template,
        "logprobs": [] if _has_logprobs(message) and not newer else None,
        "children": children or None,
        "completion": message.completion,
        "final": message.final,
        "original": message.original,
        "private": message.private,
        "model_type": message.model_type,
        "finish_reason": message.finish_reason,
        "harmful": message.harmful,
        "expiration_time": None if message.expires_ms is None else _time(message.expires_ms),
        "labels": [],
        "file_urls": _file_urls(message) if newer else None,
    }
    if newer:
        shape |= {
            "error_code": message.error_code,
            "error_description": message.error_description,
            "error_severity": message.error_severity,
            "thinking": message.thinking,
        }
    return shape


def flat(message: KeptMessage, child_ids: list[str]) -> dict[str, Any]:
    """Return a message in camelCase with its children's ids."""
    shape = {camel(name): value for name, value in nested(message, None, newer=True).items()}
    del shape["logprobs"]
    shape |= {
        "agentId": None,
        "children": child_ids,
        "extraParameters": None,
        "inputParts": message.input_parts or None,
        "isLimitReached": False,
        "isOlderThan30Days": False,
        "opts": {camel(name): value for name, value in message.opts.items()},
        "toolCalls": message.tool_calls,
        "toolDefinitions": message.tool_definitions,
    }
    return json_sorted(shape)


def json_sorted(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object with its keys in alphabetical order, as the newer server writes them."""
    return {
        name: json_sorted(item) if isinstance(item, dict) else item
        for name, item in sorted(value.items())
    }


def snippet(content: str) -> str:
    """Return the first 16 words without HTML."""
    stripper = _Stripper()
    stripper.feed(content)
    stripper.close()
    text = "".join(stripper.texts)
    words = text.split()
    if len(words) > _SNIPPET_WORDS:
        return " ".join(words[:_SNIPPET_WORDS]) + "…"
    lead = " " if text[:1].isspace() else ""
    trail = " " if text[-1:].isspace() and words else ""
    return lead + " ".join(words) + trail


class _Stripper(HTMLParser):
    """Collect the text outside tags and scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.texts.append(data)


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="microseconds")


def _has_logprobs(message: KeptMessage) -> bool:
    return message.role == "assistant" and message.final and message.model_type is not None


def _file_urls(message: KeptMessage) -> list[str] | None:
    return [] if message.role == "user" else None
