"""Keys to servers: kept in a file of their own, and read from anywhere but the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli.invocation import examples, store_options
from convostore.cli.terminal import is_terminal, say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from convostore.providers.keys import Key

_MOST_BYTES = 65_536  # of standard input; a key has a hundred


@click.group(short_help="Keep keys to servers, outside of any store.")
@store_options
def keys() -> None:
    """Keep keys to servers in a file that nobody else can read, and in no store."""


_server = click.argument("server", required=False)


@keys.command(
    "set",
    short_help="Keep the key to a server.",
    epilog=examples(
        "convostore keys set",
        "convostore keys set https://openrouter.ai",
        "pass show openai | convostore keys set",
    ),
)
@_server
@store_options
def set_key(server: str | None) -> None:
    """Keep the key to SERVER, by default the configured one of the provider openai.

    The key is asked for without showing it, or read from standard input: on a command line
    everybody on this machine could see it.
    """
    from convostore.providers import keys as kept

    origin = _origin(server)
    known = kept.keep(origin, _typed_key(origin))
    say(f"{'replaced' if known else 'kept'} the key to {origin}, in {kept.file()}")


@keys.command("list", short_help="List the servers that there are keys to.")
@store_options
def list_keys() -> None:
    """List the servers that there are keys to; the keys are not shown."""
    from convostore.providers import keys as kept

    for origin in sorted(kept.kept()):
        click.echo(origin)


@keys.command(
    "remove",
    short_help="Remove the key to a server.",
    epilog=examples("convostore keys remove https://openrouter.ai"),
)
@_server
@store_options
def remove_key(server: str | None) -> None:
    """Remove the key to SERVER, by default the configured one of the provider openai."""
    from convostore.providers import keys as kept

    origin = _origin(server)
    if not kept.keep(origin, None):
        raise UsageError(f"there is no key to {origin}", hint="see them all: convostore keys list")
    say(f"removed the key to {origin}")


def _origin(server: str | None) -> str:
    from convostore.errors import ProviderOptionError
    from convostore.providers import keys as kept
    from convostore.providers.openai_address import address

    if server is None:
        return address(None).origin
    try:
        return kept.origin_of(server)
    except ProviderOptionError as odd:  # what was typed may be the key: it is not repeated
        raise UsageError(odd.message, hint="type the key when you are asked for it") from None


def _typed_key(origin: str) -> Key:
    from convostore.providers.keys import checked

    if is_terminal(sys.stdin):
        value = click.prompt(f"The key to {origin}", hide_input=True, err=True)
        return checked(value, "what was typed")
    raw = b"" if sys.stdin is None else sys.stdin.buffer.read(_MOST_BYTES)
    return checked(raw.decode("utf-8", "replace"), "standard input")
