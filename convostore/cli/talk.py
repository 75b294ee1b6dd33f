"""One conversation as it is held from the command line: opened, asked, shown, named at the end."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from convostore.cli import farside
from convostore.cli.exits import SignalledError, exit_code, system_lines
from convostore.cli.signals import AT_ONCE, stoppable
from convostore.cli.terminal import counted, say
from convostore.errors import ConvostoreError, TurnStateError
from convostore.providers.provider import ChatMessage, ChatRequest, takes_attachments
from convostore.text import gate
from convostore.turning.afterwards import close_provider
from convostore.turning.handing import checked_request, takes_none

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from convostore.cli.farside import FarSide
    from convostore.cli.invocation import Invocation
    from convostore.cli.typed import Wish
    from convostore.cli.view import View
    from convostore.conversation import Conversation
    from convostore.parts import AttachmentPart
    from convostore.store import Store
    from convostore.turn import Turn


KEEP = "/keep"  # what a person types to keep an ephemeral conversation after all


@asynccontextmanager
async def opened(invocation: Invocation, wish: Wish, view: View) -> AsyncIterator[Talk]:
    """Open the store, find the conversation, make the provider; close them afterwards.

    For an ephemeral conversation the store is opened when it is to be kept, and not before.

    Raises:
        StoreError: the store cannot be opened, or has no such conversation.
        UsageError: there is no such provider.
        ConvostoreError: the provider lacks something on this machine.
    """
    unopened = invocation.open(create=wish.ref is None)
    async with aclosing(unopened) if wish.ephemeral else unopened as store:
        conversation = None if wish.ref is None else await store.resume(wish.ref)
        far = farside.choose(
            invocation.config, wish, None if conversation is None else conversation.record
        )
        try:
            yield Talk(store, conversation, far, invocation=invocation, wish=wish, view=view)
        finally:
            await close_provider(far.provider)


class Talk:
    """Ask, again and again, in one conversation.

    A new conversation is stored together with its first question, so that a wrong word on the
    command line leaves none behind.

    Attributes:
        conversation: None until it is resumed or its first question is asked.
    """

    def __init__(
        self,
        store: Store,
        conversation: Conversation | None,
        far: FarSide,
        *,
        invocation: Invocation,
        wish: Wish,
        view: View,
    ) -> None:
        self.conversation = conversation
        self._invocation = invocation
        self._store = store
        self._far = far
        self._wish = wish
        self._view = view
        self._files = wish.files
        self._turn: Turn | None = None
        self._lost: OSError | None = None

    async def ask(self, text: str) -> int:
        """Ask *text*, show the answer while it comes, then say how it ended.

        Returns:
            The exit code that this one exchange stands for.
        """

        async def turn() -> Turn:
            files, self._files = await self._handed_in(), ()
            conversation = await self._conversation_for(text, files)
            return conversation.stream(text, attachments=files, **self._who())

        return await self._exchange(turn)

    async def regenerate(self, at: str | int | None) -> int:
        """Ask for another answer to the question at *at*; as `ask`."""

        async def turn() -> Turn:
            return self._known().regenerate(at, **self._who())

        return await self._exchange(turn)

    async def edit(self, at: str | int, text: str) -> int:
        """Ask the question at *at* in other words; as `ask`."""

        async def turn() -> Turn:
            return self._known().edit(at, text, **self._who())

        return await self._exchange(turn)

    def say_how_to_go_on(self) -> None:
        """Say the handle, and what to type next; nothing where nothing was asked."""
        if self.conversation is None:
            return
        if self._is_fleeting():
            say("nothing of this conversation was kept")
        else:
            handle = self.conversation.handle
            say(f"{handle}  go on with: {self._invocation.command('chat', '--resume', handle)}")

    def is_to_keep(self, text: str) -> bool:
        """Tell whether what was typed keeps an ephemeral conversation, and is no question."""
        return self._wish.ephemeral and text.strip() == KEEP

    async def keep(self) -> int:
        """Keep an ephemeral conversation, and say so; return the exit code."""
        conversation = self.conversation
        if conversation is None or not conversation.ephemeral:
            say("there is nothing to keep yet" if conversation is None else "it is kept already")
            return 0
        code = 0
        try:
            await stoppable(conversation.keep(), at_once="whether it is kept is not known")
        except SignalledError as ended:
            code = exit_code(ended)
            with suppress(ConvostoreError):  # it goes on, and the last line has to tell the truth
                await conversation.keep()
        except ConvostoreError as error:
            self._invocation.fit(error)
            await self._show(self._view.failed(error))
            return 0
        if not conversation.ephemeral:
            say(f"kept, as {conversation.handle}")
        return code

    def _is_fleeting(self) -> bool:
        """Tell whether nothing is kept, as things stand."""
        return self._wish.ephemeral and (self.conversation is None or self.conversation.ephemeral)

    def _known(self) -> Conversation:
        if self.conversation is None:
            raise TurnStateError("there is no conversation to go back in")
        return self.conversation

    def _who(self) -> dict[str, Any]:
        """Return who is asked, and how, as the verbs of a conversation take it."""
        return {
            "model": self._far.model,
            "provider": self._far.provider,
            "settings": self._wish.settings or None,
        }

    async def _exchange(self, begin: Callable[[], Awaitable[Turn]]) -> int:
        self._turn = self._lost = None
        try:
            at_once = "nothing was kept" if self._is_fleeting() else AT_ONCE
            await stoppable(self._stream(begin), at_once=at_once)
        except SignalledError as ended:
            await self._end()
            return exit_code(ended)
        except ConvostoreError as error:
            await self._end(error)
            return exit_code(error)
        await self._end()
        return 0 if self._lost is None else exit_code(self._lost)

    async def questions(self) -> list[str]:
        """Return what was asked in this conversation so far, oldest first."""
        if self.conversation is None:
            return []
        path = await self.conversation.history()
        return [message.text for message in path if message.role == "user"]

    def greeting(self) -> str:
        """Say which conversation this is and who answers, in one line."""
        who = f"{self._far.name}, {self._far.model}" if self._far.model else self._far.name
        if self._wish.ephemeral:
            return f"An ephemeral conversation with {who}: nothing is kept, unless you type {KEEP}"
        if self.conversation is None:
            return f"A new conversation with {who}"
        record = self.conversation.record
        return f"{record.handle}, {record.title or 'no title'}, with {who}"

    async def _stream(self, begin: Callable[[], Awaitable[Turn]]) -> None:
        async with await begin() as turn:
            self._turn = turn
            async for delta in turn:
                await self._show(self._view.delta(delta))
                if self._lost is not None:
                    break

    async def _handed_in(self) -> list[AttachmentPart]:
        """Take in what is to be attached to this question."""
        provider = self._far.provider
        if self._files and not takes_attachments(provider):
            raise takes_none(provider)
        return [
            await self._store.attach(file, ephemeral=self._wish.ephemeral) for file in self._files
        ]

    async def _conversation_for(self, text: str, files: Sequence[AttachmentPart]) -> Conversation:
        """Return the conversation; a new one is made once the far side would take *text*."""
        if self.conversation is None:
            system = self._wish.system
            said = [ChatMessage(role="system", text=system)] if system else []
            request = ChatRequest(
                messages=(*said, ChatMessage("user", text, tuple(files))),
                model=self._far.model,
                settings=self._wish.settings,
                anonymous_user_id="made-by-the-store-later",
            )
            gate(text)
            await checked_request(self._far.provider, request)
            self.conversation = await self._store.create(
                provider=self._far.name,
                model=self._far.model,
                system=system,
                settings=self._wish.settings or None,
                expires_at_ms=self._wish.expires_at_ms,
                ephemeral=self._wish.ephemeral,
            )
        return self.conversation

    async def _end(self, error: ConvostoreError | None = None) -> None:
        await self._show(self._view.close())
        self._say_how_it_went()
        if error is not None:
            self._invocation.fit(error)
            await self._show(self._view.failed(error))
        elif self._turn is None or self.conversation is None:
            done = "asked" if self._is_fleeting() else "stored"
            say(f"convostore: interrupted before the question was {done}")
        elif self._lost is None:
            handle = None if self._is_fleeting() else self.conversation.handle
            await self._show(self._view.finished(handle, self._turn.reply))

    async def _show(self, showing: Awaitable[None]) -> None:
        """Await *showing*; a stdout that takes no more is remembered, and ends the answer."""
        try:
            await showing
        except OSError as error:
            if self._lost is None and not isinstance(error, BrokenPipeError):
                for line in system_lines(error):
                    say(line)
            self._lost = error

    def _say_how_it_went(self) -> None:
        turn = self._turn
        if turn is not None and turn.rehydrated:
            left_out = f"; of the oldest, {counted(turn.dropped_turns, 'turn')} did not fit"
            say(
                "convostore: the earlier messages went along as text, in a new remote thread"
                + (left_out if turn.dropped_turns else "")
            )
        if turn is not None and turn.replaced and self.conversation is not None:
            whole = self._invocation.command("show", self.conversation.handle, "-r")
            kept = "" if self._is_fleeting() else f"; it is kept whole: {whole}"
            say(f"convostore: the final answer is not the text shown{kept}")
        if turn is not None and turn.branched:
            say(
                "convostore: somebody else went on with this conversation meanwhile; "
                "this exchange is kept as a branch beside theirs"
            )
            handle, number = self._known().handle, str(turn.reply.seq)
            say(f"to go on with it: {self._invocation.command('switch', handle, number)}")
