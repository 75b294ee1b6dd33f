from __future__ import annotations

import signal
from typing import Any

import click
import pytest

from convostore import errors
from convostore.cli import exits


def _every_kind(kind: type[Any]) -> list[type[Any]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _every_kind(child))]


# The table of exit codes, as the manual prints it.
EXPECTED = {
    "UsageError": 2,
    "ProviderOptionError": 2,
    "AmbiguousHandleError": 2,
    "NotFoundError": 3,
    "ConversationNotFoundError": 3,
    "MessageNotFoundError": 3,
    "AttachmentNotFoundError": 3,
    "ConflictError": 4,
    "HeadMovedError": 4,
    "DuplicateKeyError": 4,
    "ConversationBusyError": 4,
    "StoreError": 5,
    "StoreOpenError": 5,
    "StoreBusyError": 5,
    "StoreFullError": 5,
    "StoreCorruptError": 5,
    "SchemaOutdatedError": 5,
    "SchemaTooNewError": 5,
    "InvalidTextError": 1,
    "AttachmentError": 1,
    "FormatError": 1,
    "ConvostoreError": 1,
}


def _make(kind: type[errors.ConvostoreError]) -> errors.ConvostoreError:
    if issubclass(kind, errors.ProviderError):
        return kind("broken", provider="echo", hint="mend it")
    if issubclass(kind, errors.FormatError):
        return kind("broken", format="jsonl", record=1, reason="broken", hint="mend it")
    return kind("broken", hint="mend it")


@pytest.mark.parametrize(
    "kind", _every_kind(errors.ConvostoreError), ids=lambda kind: str(kind.__name__)
)
def test_every_error_has_its_exit_code(kind: type[errors.ConvostoreError]) -> None:
    """Each class of the error tree ends the program with the code that the table gives it."""
    expected = EXPECTED.get(kind.__name__, 6)
    assert expected < 6 or issubclass(kind, errors.ProviderError)
    assert exits.exit_code(_make(kind)) == expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (exits.SignalledError(signal.SIGINT), 130),
        (exits.SignalledError(signal.SIGTERM), 143),
        (BrokenPipeError(), 141),
        (click.UsageError("x"), 2),
        (exits.EndedError(5), 5),
        (errors.StoreClosedError("x"), 1),
        (errors.TurnStateError("x"), 1),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_other_end_has_its_exit_code(error: BaseException, code: int) -> None:
    """Signals, a reader that left, click's own refusals and faults end as the table says."""
    assert exits.exit_code(error) == code


def test_an_error_is_one_line_and_its_hint_another(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is one line, what to do next another, and neither can hold a control."""
    exits.report(errors.StoreBusyError("held by\n\x1b[31manother", hint="wait"))
    assert capsys.readouterr().err == "convostore: held by\\n\\x1b[31manother\nhint: wait\n"


def test_an_ambiguous_name_lists_what_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """The candidates stand between the error and the hint, a line each."""
    error = errors.AmbiguousHandleError(
        "7k fits 2", hint="type more", candidates=(("7k3m9x2q", "Kyoto"), ("7kaaaaaa", "Oslo"))
    )
    exits.report(error)
    assert capsys.readouterr().err.splitlines() == [
        "convostore: 7k fits 2",
        "  7k3m9x2q  Kyoto",
        "  7kaaaaaa  Oslo",
        "hint: type more",
    ]


def test_a_fault_is_one_line_without_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something unexpected says its class and how to see more; a traceback only when asked for."""
    monkeypatch.delenv("CONVOSTORE_DEBUG", raising=False)
    exits.report(ZeroDivisionError("by\nzero"))
    said = capsys.readouterr().err
    assert said.startswith("convostore: unexpected ZeroDivisionError: by\\nzero\n")
    assert "Traceback" not in said
    monkeypatch.setenv("CONVOSTORE_DEBUG", "1")
    exits.report(ZeroDivisionError("by zero"))
    assert "ZeroDivisionError: by zero" in capsys.readouterr().err
