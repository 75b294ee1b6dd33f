"""Where a server of chat completions is, and which key is for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from convostore import config
from convostore.errors import ProviderOptionError
from convostore.providers import keys
from convostore.providers.connection import is_http
from convostore.providers.openai_errors import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI_ORIGIN: Final = "https://api.openai.com"
OPENAI_URL: Final = f"{OPENAI_ORIGIN}/v1"
_OWN_URL, _OWN_KEY = "CONVOSTORE_OPENAI_URL", "CONVOSTORE_OPENAI_API_KEY"
_USUAL_URL, _USUAL_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"  # as OpenAI's own clients read them
_CALL: Final = "/chat/completions"


class Address(NamedTuple):
    """Where a server is.

    Attributes:
        origin: scheme, host and port; what a key is for.
        path: what stands before the paths of the protocol, usually /v1.
    """

    origin: str
    path: str

    @property
    def url(self) -> str:
        """The whole address."""
        return self.origin + self.path


def address(base_url: str | None, environ: Mapping[str, str] | None = None) -> Address:
    """Return where the server is: as given, else as the environment or the configuration says.

    An address without a path means /v1 there, which all such servers have.

    Args:
        base_url: as given; None is what is configured.
        environ: where the variables are; the process's own by default.

    Raises:
        ProviderOptionError: it is no address of such a server.
        UsageError: the configuration cannot be read.
    """
    if base_url is None:
        base_url = _configured(os.environ if environ is None else environ)
    parts = urlsplit(base_url.strip()) if is_http(base_url) else None
    if parts is None or parts.username is not None or parts.query or parts.fragment:
        raise ProviderOptionError(
            f"the server's address must be like {OPENAI_URL}, and nothing more",
            provider=NAME,
            hint=f"correct base_url or {_OWN_URL}; a key goes elsewhere: convostore keys set",
        )
    path = parts.path.rstrip("/").removesuffix(_CALL)
    return Address(keys.origin_of(base_url), path or "/v1")


def key_for(
    origin: str, given: str | None = None, environ: Mapping[str, str] | None = None
) -> keys.Key | None:
    """Return the key for the server at *origin*; None where there is none.

    A variable's key is for the server that the environment names beside it: our own variable's
    for the configured server, `OPENAI_API_KEY` for `OPENAI_BASE_URL` or OpenAI itself.

    Raises:
        ProviderAuthError: what is given is no key, or the file of keys is open to others.
        UsageError: the configuration cannot be read.
    """
    environ = os.environ if environ is None else environ
    if given is not None:
        return keys.checked(given, "api_key")
    own = keys.named_in(environ, _OWN_KEY)
    if own is not None and address(None, environ).origin == origin:
        return own
    if (kept := keys.kept().get(origin)) is not None:
        return kept
    usual = keys.named_in(environ, _USUAL_KEY)
    if usual is not None and keys.origin_of(environ.get(_USUAL_URL) or OPENAI_URL) == origin:
        return usual
    return None


def _configured(environ: Mapping[str, str]) -> str:
    return (
        environ.get(_OWN_URL)
        or environ.get(_USUAL_URL)
        or config.load(environ).openai_url
        or OPENAI_URL
    )
