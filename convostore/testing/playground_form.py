"""The body of a request, as the Playground's server reads it: raw bytes in, fields out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

# Source: Werkzeug's default max_form_memory_size, seen on the running server.
MAX_TEXT_FIELD_BYTES = 500_000

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?')
_NAME = re.compile(rb'name="([^"]*)"')
_FILE = re.compile(rb"filename\*?=")


class FieldTooLargeError(Exception):
    """A text field is larger than the server takes."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file in a form.

    Attributes:
        field: the name of its field.
        name: what it is called.
        media_type: what it is said to be.
        data: all its bytes.
    """

    field: str
    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one request.

    Attributes:
        raw: each field by the name it was sent with; of repeated ones the first.
        repeated: all values of each field, by its snake_case name.
        files: the files, in order.
    """

    raw: dict[str, Any] = field(default_factory=dict)
    repeated: dict[str, list[Any]] = field(default_factory=dict)
    files: tuple[SentFile, ...] = ()

    def get(self, name: str) -> Any:
        """Return the first value of the field, or None."""
        values = self.repeated.get(name)
        return values[0] if values else None


def read_form(content_type: str, body: bytes) -> Form:
    """Read a multipart or JSON body; any other kind has no fields.

    Raises:
        FieldTooLargeError: a multipart text field has more than 500,000 bytes.
    """
    if content_type.startswith("application/json"):
        return _form(_json_pairs(body))
    boundary = _BOUNDARY.search(content_type)
    if content_type.startswith("multipart/form-data") and boundary:
        pairs, files = _multipart_pairs(body, boundary[1].encode())
        return _form(pairs, files)
    return Form()


def with_options(form: Form) -> Form:
    """Take the options out of the `opts` object of the oldest form of request."""
    options = form.get("opts")
    if not isinstance(options, dict):
        return form
    return _form([*form.raw.items(), *options.items()])


def snake(name: str) -> str:
    """Turn camelCase into snake_case; the server takes both."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """Turn snake_case into camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _form(pairs: list[tuple[str, Any]], files: list[SentFile] | None = None) -> Form:
    form = Form(files=tuple(files or ()))
    for name, value in pairs:
        form.raw.setdefault(name, value)
        form.repeated.setdefault(snake(name), []).append(value)
    return form


def _json_pairs(body: bytes) -> list[tuple[str, Any]]:
    try:
        value = json.loads(body)
    except ValueError:
        return []
    if not isinstance(value, dict):
        return []
    pairs: list[tuple[str, Any]] = []
    for name, item in value.items():
        pairs.extend((name, one) for one in (item if isinstance(item, list) else [item]))
    return pairs


def _multipart_pairs(body: bytes, boundary: bytes) -> tuple[list[tuple[str, Any]], list[SentFile]]:
    """Split at the boundary, wherever it stands: a text that holds it breaks the request."""
    delimiter = b"\r\n--" + boundary
    parts = (b"\r\n" + body).split(delimiter)
    if not any(part.startswith(b"--") for part in parts[1:]):
        return [], []  # without its end the whole form counts as empty
    pairs: list[tuple[str, Any]] = []
    files: list[SentFile] = []
    for part in parts[1:]:
        if part.startswith(b"--"):
            break
        head, _, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is None:
            continue
        if _FILE.search(head):
            files.append(_file(name[1].decode(), head, value))
            continue
        if len(value) > MAX_TEXT_FIELD_BYTES:
            raise FieldTooLargeError
        pairs.append((name[1].decode(), value.decode(errors="replace")))
    return pairs, files


def _file(field: str, head: bytes, data: bytes) -> SentFile:
    told = EmailMessage()
    for line in head.decode("utf-8", "replace").strip().split("\r\n"):
        name, _, value = line.partition(":")
        told[name] = value.strip()
    return SentFile(field, told.get_filename() or "", told.get_content_type(), data)
