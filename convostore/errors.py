"""Every error of convostore, complete when raised.

.. code-block:: text

    ConvostoreError                      message, .hint; __cause__ kept
    +- StoreError
    |  +- StoreOpenError  StoreBusyError (retryable)  StoreFullError  StoreCorruptError
    |  +- SchemaOutdatedError  SchemaTooNewError
    |  +- NotFoundError (LookupError): ConversationNotFoundError, MessageNotFoundError,
    |  |                               AttachmentNotFoundError
    |  +- ConflictError: HeadMovedError, DuplicateKeyError, ConversationBusyError (retryable),
    |  |                 AmbiguousHandleError
    |  +- InvalidTextError  AttachmentError
    +- ProviderError                     .provider, .status, .retryable, .reply
    |  +- ProviderConnectError  ProviderTimeoutError  ProviderAuthError  RateLimitError
    |  +- CaptchaRequiredError  ModerationRefusedError  RemoteThreadGoneError  ContextLengthError
    |  +- ProviderProtocolError (.excerpt)  IncompleteReplyError  ProviderOptionError
    |  +- AttachmentRefusedError
    +- FormatError                       .format, .record, .reason
    +- UsageError                        command line only

    StoreClosedError, TurnStateError     (RuntimeError) mistakes in the caller's code, outside the tree
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from convostore.records import Message


class ConvostoreError(Exception):
    """Say what went wrong, and in `hint` what to do next.

    Attributes:
        message: one line, without secrets.
        hint: one line that says what to type or change; empty when there is nothing to do.
        code: the stable word for this kind of error, used in JSON output and in stored records.
        retryable: True when the same call may succeed later without any change.
    """

    code: ClassVar[str] = "error"
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message alone; the hint is for whoever prints it on a line of its own."""
        return self.message


class StoreError(ConvostoreError):
    """Report trouble with the store itself."""

    code = "store"


class StoreOpenError(StoreError):
    """The store cannot be opened: missing folder, wrong kind of file, no permission, bad URL."""

    code = "store_open"


class StoreBusyError(StoreError):
    """The write was withdrawn before it was begun: certainly not stored. Try again later."""

    code = "store_busy"
    retryable = True


class StoreFullError(StoreError):
    """The disk or the quota is full; nothing of this write was kept, everything before it was."""

    code = "store_full"


class StoreCorruptError(StoreError):
    """The database file is damaged."""

    code = "store_corrupt"


class SchemaOutdatedError(StoreError):
    """The store was made by an older convostore and has to be upgraded first."""

    code = "schema_outdated"


class SchemaTooNewError(StoreError):
    """The store was made by a newer convostore than this one."""

    code = "schema_too_new"


class NotFoundError(StoreError, LookupError):
    """Nothing of that name belongs to this owner."""

    code = "not_found"


class ConversationNotFoundError(NotFoundError):
    """Tell that this owner has no such conversation."""

    code = "conversation_not_found"


class MessageNotFoundError(NotFoundError):
    """Tell that the conversation has no such message."""

    code = "message_not_found"


class AttachmentNotFoundError(NotFoundError):
    """Tell that this owner has no such attachment, or not any more."""

    code = "attachment_not_found"


class ConflictError(StoreError):
    """The write would contradict what is stored; nothing of it was stored."""

    code = "conflict"


class HeadMovedError(ConflictError):
    """Somebody else moved the conversation's head since it was read."""

    code = "head_moved"


class DuplicateKeyError(ConflictError):
    """The idempotency key or conversation key is taken by something different."""

    code = "duplicate_key"


class ConversationBusyError(ConflictError):
    """A reply of this conversation is still running elsewhere. Try again later."""

    code = "conversation_busy"
    retryable = True


class AmbiguousHandleError(ConflictError):
    """The short name fits more than one conversation.

    Attributes:
        candidates: (handle, title) of those it fits, at most ten.
    """

    code = "ambiguous_handle"

    def __init__(
        self, message: str, *, hint: str = "", candidates: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.candidates = candidates


class InvalidTextError(StoreError):
    """The text holds a NUL or a lone surrogate, or is larger than the limit."""

    code = "invalid_text"


class AttachmentError(StoreError):
    """What is to be attached cannot be read, or is larger than the limit; nothing is kept of it."""

    code = "attachment"


class ProviderError(ConvostoreError):
    """The far side failed, refused or answered with something that is no answer.

    Attributes:
        provider: the provider's name.
        status: the HTTP status, where there was one.
        retryable: True when the same request may succeed later.
        retry_after_s: seconds the far side asked to wait, if it did.
        reply: the stored reply with what had arrived, set once the record is committed;
            None when the error came before a reply existed.
    """

    code = "provider"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        hint: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.status = status
        self.retryable = type(self).retryable if retryable is None else retryable
        self.retry_after_s = retry_after_s
        self.reply: Message | None = None


class ProviderConnectError(ProviderError):
    """No connection could be made, or it broke before any byte of the answer."""

    code = "provider_connect"
    retryable = True


class ProviderTimeoutError(ProviderError):
    """A time limit passed: connecting, waiting for the next event, or the whole turn."""

    code = "provider_timeout"
    retryable = True


class ProviderAuthError(ProviderError):
    """The far side refused the identity, or forbids the request (401, 403)."""

    code = "provider_auth"


class RateLimitError(ProviderError):
    """The far side asks to wait (429), in `retry_after_s` for how long, if it says so."""

    code = "rate_limit"
    retryable = True


class CaptchaRequiredError(ProviderError):
    """The far side wants a captcha that only a browser can solve; permanent."""

    code = "captcha_required"


class ModerationRefusedError(ProviderError):
    """The far side refused this text; permanent for this text."""

    code = "moderation_refused"


class RemoteThreadGoneError(ProviderError):
    """The far side no longer has the remote thread this request continues."""

    code = "remote_thread_gone"


class ContextLengthError(ProviderError):
    """The request is larger than the far side or the model takes."""

    code = "context_length"


class ProviderProtocolError(ProviderError):
    """The far side answered something that is not its protocol.

    Attributes:
        excerpt: the offending bytes as text, cut to 500 characters.
    """

    code = "provider_protocol"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        hint: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(message, provider=provider, hint=hint, status=status, retryable=retryable)
        self.excerpt = excerpt[:500]


class IncompleteReplyError(ProviderError):
    """The reply broke off: an error object inside the stream, a cut body, no end mark, a limit."""

    code = "incomplete_reply"


class ProviderOptionError(ProviderError):
    """The provider has no such option, or the option takes no such value; nothing was sent."""

    code = "provider_option"


class AttachmentRefusedError(ProviderError):
    """The provider, or the model asked, does not take what is attached; nothing was stored."""

    code = "attachment_refused"


class FormatError(ConvostoreError):
    """A file or record is not in the format it should be in.

    Attributes:
        format: the format's name.
        record: which record, counted from 1; None when it is the file as a whole.
        reason: what is wrong with it.
    """

    code = "format"

    def __init__(
        self, message: str, *, format: str, record: int | None, reason: str, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.format = format
        self.record = record
        self.reason = reason


class UsageError(ConvostoreError):
    """The command line was used wrongly."""

    code = "usage"


class StoreClosedError(RuntimeError):
    """The store is closed, or belongs to the process this one was forked from."""


class TurnStateError(RuntimeError):
    """A turn was used before it began, after it ended, or twice at once."""
