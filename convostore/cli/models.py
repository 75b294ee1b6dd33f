"""The models command: what the provider offers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli.invocation import (
    Invocation,
    examples,
    filled,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.terminal import is_terminal, one_line

if TYPE_CHECKING:
    from convostore.providers.provider import ModelInfo


@click.command(epilog=examples("convostore models -p local"))
@click.option(
    "-p",
    "provider",
    metavar="PROVIDER",
    callback=filled,
    help="playground, openai, local, echo; or installed.",
)
@click.option("--proxy", metavar="URL", callback=filled, help="Go through this HTTP proxy.")
@store_options
@pass_invocation
def models(invocation: Invocation, provider: str | None, proxy: str | None) -> None:
    """List the provider's models, the default one marked.

    When the output is no terminal: one a line, with tabs between id, name, "default" or nothing,
    and description.
    """
    name = provider or invocation.config.provider
    found = run(_models(invocation, name, proxy))
    default = _default_id(invocation, name, found)
    if is_terminal(sys.stdout):
        _print_columns(found, default)
        return
    for model in found:
        mark = "default" if model.id == default else ""
        fields = (model.id, model.name, mark, model.description)
        click.echo("\t".join(one_line(field) for field in fields))


async def _models(invocation: Invocation, name: str, proxy: str | None) -> list[ModelInfo]:
    from convostore.cli import farside
    from convostore.providers.plugins import models_of
    from convostore.turning.afterwards import close_provider

    provider = farside.make(name, invocation.config, proxy=proxy)
    try:
        return await models_of(provider)
    finally:
        await close_provider(provider)


def _default_id(invocation: Invocation, name: str, found: list[ModelInfo]) -> str | None:
    config = invocation.config
    if config.model and name == config.provider:
        return config.model
    return found[0].id if found else None


def _print_columns(found: list[ModelInfo], default: str | None) -> None:
    ids = [one_line(model.id) for model in found]
    names = [one_line(model.name) for model in found]
    id_width, name_width = (max(map(len, column), default=0) for column in (ids, names))
    for model, shown_id, name in zip(found, ids, names, strict=True):
        mark = "*" if model.id == default else " "
        about = one_line(model.description)
        click.echo(f"{mark} {shown_id:{id_width}}  {name:{name_width}}  {about}".rstrip())
