"""The list from which a person picks a conversation whose name was left out, with a preview."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from convostore.cli.exits import INTERRUPTED, EndedError
from convostore.cli.terminal import is_terminal, one_line

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples

    from convostore.cli.invocation import Invocation
    from convostore.records import ConversationRecord, Message
    from convostore.store import Store

OFFERED: Final = 1000  # conversations: what is older is searched for
_PAGE: Final = 200
_SHOWN_MESSAGES: Final = 6  # of a preview, the last ones
_SHOWN_CHARACTERS: Final = 400  # of each of them
_KEYS: Final = "type to narrow, Up and Down move, Enter takes it, Esc leaves"


def can_pick() -> bool:
    """Tell whether a person can be asked: on a terminal, with the extra `chat`."""
    seen = is_terminal(sys.stdin) and is_terminal(sys.stdout)
    return seen and os.environ.get("TERM") != "dumb" and find_spec("prompt_toolkit") is not None


async def pick(
    invocation: Invocation, *, deleted: bool = False, archived: bool = False
) -> str | None:
    """Let a person pick a conversation, and return its handle; None where there is none.

    Args:
        invocation: from which store.
        deleted: from the bin, of which no messages are shown.
        archived: from the archive.

    Raises:
        EndedError: the person left.
        StoreError: the store cannot be opened or read.
    """
    async with invocation.open() as store:
        records = await _newest(store, deleted=deleted, archived=archived)
        if not records:
            return None
        chosen = await _Picker(store, records).run()
    if chosen is None:
        raise EndedError(INTERRUPTED)
    return chosen.handle


async def _newest(store: Store, *, deleted: bool, archived: bool) -> list[ConversationRecord]:
    found: list[ConversationRecord] = []
    cursor: str | None = None
    while len(found) < OFFERED:
        page = await store.list(limit=_PAGE, cursor=cursor, deleted=deleted, archived=archived)
        found += page.items
        if (cursor := page.next_cursor) is None:
            break
    return found


def fitting(records: Sequence[ConversationRecord], typed: str) -> list[ConversationRecord]:
    """Return the records that have what was *typed*, its letters in order; the tightest first.

    Each word may stand anywhere in handle, title, tags, folder or key.
    """
    words = typed.lower().split()
    ranked = []
    for place, record in enumerate(records):
        text = _text(record).lower()
        spans = [_tightest(word, text) for word in words]
        if all(span is not None for span in spans):
            ranked.append((sum(span or 0 for span in spans), place, record))
    return [record for _, _, record in sorted(ranked, key=lambda one: one[:2])]


def _text(record: ConversationRecord) -> str:
    names = (record.handle, record.title, *record.tags, record.folder, record.key)
    return " ".join(name for name in names if name)


def _tightest(word: str, text: str) -> int | None:
    """Return how many characters the tightest match takes; None without one.

    What is typed is looked for letter by letter from each place where its first one stands: a
    pattern for it would try every way in which letters that come often can be chosen.
    """
    tightest: int | None = None
    start = text.find(word[0])
    while start >= 0:
        end = start
        for letter in word[1:]:
            end = text.find(letter, end + 1)
            if end < 0:
                return tightest  # nor is it there from a later start
        taken = end - start + 1
        tightest = taken if tightest is None else min(tightest, taken)
        start = text.find(word[0], start + 1)
    return tightest


class _Picker:
    """A full screen: what is typed, the list, and the end of the conversation at hand."""

    def __init__(self, store: Store, records: Sequence[ConversationRecord]) -> None:
        self._store, self._records = store, records
        self._fitting, self._at = list(records), 0
        self._previews: dict[str, StyleAndTextTuples] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def run(self) -> ConversationRecord | None:
        """Show it until a conversation is taken, or the person leaves."""
        import asyncio

        app = self._application()
        self._preview_of(app)
        try:
            # Its own handler of exceptions would print a traceback over the screen.
            taken: ConversationRecord | None = await app.run_async(set_exception_handler=False)
        finally:
            for task in self._reading:
                task.cancel()
            await asyncio.gather(*self._reading, return_exceptions=True)
        return taken

    def _application(self) -> Application[Any]:
        from prompt_toolkit.application import Application
        from prompt_toolkit.buffer import Buffer
        from prompt_toolkit.layout import BufferControl, HSplit, Layout, VSplit, Window
        from prompt_toolkit.layout.controls import FormattedTextControl
        from prompt_toolkit.layout.dimension import Dimension
        from prompt_toolkit.layout.processors import BeforeInput

        typed = Buffer(multiline=False)
        field = Window(BufferControl(typed, [BeforeInput("conversation: ")]), height=1)
        listed = Window(
            FormattedTextControl(self._lines, show_cursor=False), width=Dimension(weight=1)
        )
        preview = Window(
            FormattedTextControl(self._preview), wrap_lines=True, width=Dimension(weight=1)
        )
        hint = Window(FormattedTextControl([("class:hint", _KEYS)]), height=1)
        body = VSplit([listed, Window(width=1, char="│"), preview])
        app: Application[Any] = Application(
            layout=Layout(HSplit([field, body, hint]), focused_element=field),
            key_bindings=self._keys(),
            full_screen=True,
        )

        def narrow(buffer: Buffer) -> None:
            self._fitting, self._at = fitting(self._records, buffer.text), 0
            self._preview_of(app)

        typed.on_text_changed += narrow
        return app

    def _keys(self) -> Any:
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.keys import Keys

        keys = KeyBindings()

        def moving(by: int) -> Any:
            def move(event: Any) -> None:
                self._at = max(0, min(self._at + by, len(self._fitting) - 1))
                self._preview_of(event.app)

            return move

        steps = {"up": -1, "c-p": -1, "down": 1, "c-n": 1, "pageup": -10, "pagedown": 10}
        for key, by in steps.items():
            keys.add(key)(moving(by))

        @keys.add(Keys.Vt100MouseEvent)
        def _no_mouse(event: Any) -> None:
            """Do nothing: a colour's escape sequence in what is pasted is taken for a mouse too."""

        @keys.add("enter")
        def _take(event: Any) -> None:
            if self._fitting:
                event.app.exit(result=self._fitting[self._at])

        @keys.add("escape", eager=True)
        @keys.add("c-c")
        @keys.add("c-d")
        def _leave(event: Any) -> None:
            event.app.exit(result=None)

        return keys

    def _lines(self) -> StyleAndTextTuples:
        """Return the list as far as it may be seen, around the one at hand."""
        if not self._fitting:
            return [("", "nothing fits")]
        from prompt_toolkit.application import get_app

        rows = get_app().output.get_size().rows
        first = max(0, self._at - rows // 2)
        return [
            ("reverse" if number == self._at else "", f"{_line(record)}\n")
            for number, record in enumerate(self._fitting[first : first + rows], start=first)
        ]

    def _preview(self) -> StyleAndTextTuples:
        if not self._fitting:
            return []
        return self._previews.get(self._fitting[self._at].id, [("", "…")])

    def _preview_of(self, app: Application[Any]) -> None:
        """Read the end of the conversation at hand, if it was not read yet."""
        if not self._fitting or self._fitting[self._at].id in self._previews:
            return
        import asyncio

        task = asyncio.ensure_future(self._read(self._fitting[self._at], app))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, record: ConversationRecord, app: Application[Any]) -> None:
        from convostore.errors import ConvostoreError

        path: Sequence[Message] = ()
        try:
            if record.deleted_at_ms is None:
                chat = await self._store.resume(record.id)
                path = await chat.history(_SHOWN_MESSAGES)
        except ConvostoreError as error:
            self._previews[record.id] = [("", one_line(error.message))]
        else:
            self._previews[record.id] = _shown(record, path)
        app.invalidate()


def _line(record: ConversationRecord) -> str:
    from convostore import clock
    from convostore.cli.page import age

    ago = age(clock.now_ms() - record.updated_at_ms, record.updated_at_ms)
    tags = "".join(f"  #{name}" for name in record.tags)
    return one_line(f"{record.handle}  {ago:>10}  {record.title or '(no title)'}{tags}")


def _shown(record: ConversationRecord, path: Sequence[Message]) -> StyleAndTextTuples:
    """Return the end of a conversation, each message's beginning, escaped."""
    from convostore.cli.terminal import counted, many_lines

    facts = [record.provider, record.model, counted(record.message_count, "message"), record.folder]
    shown: StyleAndTextTuples = [("bold", f"{one_line(record.title or '(no title)')}\n")]
    shown.append(("", f"{one_line(', '.join(fact for fact in facts if fact))}\n"))
    for message in path:
        text = message.text[:_SHOWN_CHARACTERS]
        cut = "…" if len(text) < len(message.text) else ""
        shown += [
            ("bold", f"\n{one_line(message.author or message.role)}\n"),
            ("", f"{many_lines(text)}{cut}\n"),
        ]
    return shown
