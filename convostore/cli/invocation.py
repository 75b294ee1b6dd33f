"""What every command is told: which store, whose rows; and what it reads them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from convostore import plainconfig
from convostore.cli import again
from convostore.cli.terminal import say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from convostore.config import Config
    from convostore.errors import ConvostoreError
    from convostore.store import Store

CommandT = TypeVar("CommandT", bound="Callable[..., Any]")
ResultT = TypeVar("ResultT")


class Invocation:
    """One run of the program: the typed `--db` and `--owner`, over what is configured.

    Attributes:
        db: as typed; None when not typed.
        owner: as typed; None when not typed.
    """

    def __init__(self) -> None:
        self.db: str | None = None
        self.owner: str | None = None
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """Return what the environment and the configuration file say, read once."""
        if self._config is None:
            from convostore import config

            self._config = config.load()
        return self._config

    @property
    def url(self) -> str:
        """Return the store to use, as a path or URL."""
        return self.db or self.config.store

    @property
    def location(self) -> str:
        """Return where that is: the file of a SQLite URL, a server's URL without its password."""
        return plainconfig.location(self.url)

    def open(
        self,
        *,
        create: bool = False,
        migrate: bool = True,
        owner: str | None = None,
        personal: bool = False,
    ) -> Store:
        """Return the store; opened by `async with`.

        Args:
            create: make a store where there is none; else that is a StoreOpenError.
            migrate: upgrade an older one; else that is a SchemaOutdatedError.
            owner: whose part of it; by default of whom is typed or configured.
            personal: the part of the owner without a name.
        """
        from convostore.store import open as open_store

        return open_store(
            self.url,
            owner=None if personal else owner or self.owner or self.config.owner,
            migrate=migrate,
            create=create,
            busy_timeout_s=self.config.busy_timeout_s,
            idle_timeout_s=self.config.idle_timeout_s,
            total_timeout_s=self.config.total_timeout_s,
            max_attachment_bytes=self.config.max_attachment_bytes,
        )

    def command(self, *words: str) -> str:
        """Return the command line that runs *words* on this same store as this same owner."""
        return again.command(self.db, self.owner, *words)

    def fit(self, error: ConvostoreError) -> None:
        """Let the commands that an error's hint names lead to this same store and owner."""
        error.hint = again.fitted(error.hint, self.db, self.owner)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None or param.name is None:
        return
    filled(ctx, param, value)
    setattr(ctx.ensure_object(Invocation), param.name, value)


def filled(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001 - click hands it to every callback
    """Return what was typed; refuse an empty one by its name.

    Raises:
        UsageError: it is empty.
    """
    if value is not None and not value.strip():
        name = param.opts[0]
        if name.startswith("-"):
            raise UsageError(f"{name} is empty", hint=f"leave {name} out, or name one")
        raise UsageError(f"{name.upper()} is empty", hint="name a file")
    return value


def place(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the name of a file or folder, with `~` as home; refuse an empty one.

    Raises:
        UsageError: it is empty.
    """
    filled(ctx, param, value)
    return None if value is None else plainconfig.at_home(value)


def store_options(command: CommandT) -> CommandT:
    """Give *command* `--db` and `--owner`; they may stand before or after a command's name."""
    owner = click.option(
        "--owner",
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help="Whose conversations. [env: CONVOSTORE_OWNER]",
    )
    db = click.option(
        "--db",
        metavar="PATH|URL",
        expose_value=False,
        callback=_keep,
        help="Which store. [env: CONVOSTORE_DB]",
    )
    return db(owner(command))


def examples(*lines: str) -> str:
    """Return the end of a help text that shows *lines* as they are to be typed."""
    # Source: click, "Preventing Rewrapping": a paragraph that begins with a backspace is kept.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def run(work: Coroutine[None, None, ResultT], *, patient: bool = False) -> ResultT:
    """Run *work* on an event loop of its own, without asyncio's own talk on stderr.

    What the package itself logs is said, a line each, such as that a store was upgraded.

    Args:
        work: the command.
        patient: wait at the end for what still runs in threads, such as the rest of a backup.
            Else a host name that is still being looked up is left to itself.
    """
    import asyncio
    import logging
    from concurrent.futures import ThreadPoolExecutor

    class Unwaited(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=wait and patient, cancel_futures=cancel_futures)

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"convostore: {record.getMessage()}")

    # Whatever fails leaves by the one door; a logger would add a traceback of its own.
    logging.getLogger().addHandler(logging.NullHandler())
    log, said = logging.getLogger("convostore"), Said()
    log.setLevel(logging.INFO)
    log.addHandler(said)
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(Unwaited())
            return runner.run(work)
    finally:
        log.removeHandler(said)
        work.close()  # where Ctrl-C came before it began


def needed_ref(ref: str | None, command: str, *, picking: Invocation | None = None) -> str:
    """Return *ref*; where it was left out, let a person pick one, or say how to find one.

    Args:
        ref: as typed; None is left out.
        command: which needs it.
        picking: from which store it may be picked, where one name is all that *command* needs.

    Raises:
        UsageError: none was given, and nobody can be asked.
        EndedError: the person left.
        StoreError: the store cannot be opened or read.
    """
    if ref is None and picking is not None:
        from convostore.cli import picker

        ref = run(picker.pick(picking)) if picker.can_pick() else None
    if not ref or not ref.strip():
        raise UsageError(
            f"{command} needs a conversation: its handle, id or key, or @ for the newest",
            hint="convostore list shows them",
        )
    return ref
