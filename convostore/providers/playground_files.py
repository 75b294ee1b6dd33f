"""Files for the Playground: what its models take, and the fields of the form that carry them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from convostore.errors import AttachmentRefusedError
from convostore.providers.playground_errors import NAME
from convostore.providers.playground_http import FormFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.parts import AttachmentPart
    from convostore.providers.playground_models import ListedModel
    from convostore.providers.provider import ChatRequest

FIELD = "files"  # Source: Playground wire protocol, "Sending a turn": a repeated file


def check_files(
    files: Sequence[AttachmentPart], model: ListedModel | None, *, follows: bool
) -> None:
    """Refuse what a model does not take, as the server's list says.

    Args:
        files: with the new message.
        model: None where the list does not have it, and nothing is known of it.
        follows: the message goes on with a remote thread.

    Raises:
        AttachmentRefusedError: with a hint; permanent.
    """
    if model is None or not model.accepts_files:
        name = "the model" if model is None else model.id
        raise _refused(f"{name} takes no files", "convostore models names those that do")
    if follows and model.allow_files_in_followups is False:
        raise _refused(f"{model.id} takes files with the first message only", "begin a new chat")
    most = model.max_files_per_message
    if most is not None and len(files) > most:
        raise _refused(f"{model.id} takes {most} files with a message", "attach fewer")
    types = model.accepted_file_types
    for one in files:
        if types and not any(_fits(one.media_type, wanted) for wanted in types):
            what = f"{one.name or 'a file'} is {one.media_type}"
            raise _refused(f"{what}; {model.id} takes {', '.join(types)}", "attach another kind")
    size, most = sum(one.size for one in files), model.max_total_file_size
    if most is not None and size > most:
        raise _refused(f"the files have {size:,} bytes; {model.id} takes {most:,}", "attach less")


def file_fields(request: ChatRequest) -> list[FormFile]:
    """Return the form's fields of the new message's files."""
    return [
        FormFile(
            field=FIELD,
            name=part.name or part.sha256[:12],
            media_type=part.media_type,
            size=part.size,
            read=partial(request.content, part),
        )
        for part in request.messages[-1].attachments
    ]


def _fits(media_type: str, wanted: str) -> bool:
    kind, _, rest = wanted.partition("/")
    if rest in {"*", ""}:
        return kind == "*" or media_type.partition("/")[0] == kind
    return media_type == wanted.lower()


def _refused(message: str, hint: str) -> AttachmentRefusedError:
    return AttachmentRefusedError(message, provider=NAME, hint=hint)
