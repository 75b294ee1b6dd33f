"""File names from titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostore.formats.filenames import file_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Plan three days", "plan-three-days-7k3m0000.md"),
        ("../../etc/passwd", "etc-passwd-7k3m0000.md"),
        ("CON", "con-7k3m0000.md"),
        ("dots... ", "dots-7k3m0000.md"),
        ("-rf *", "rf-7k3m0000.md"),
        ("京都 3日", "京都-3日-7k3m0000.md"),
        ("हिन्दी", "हिन्दी-7k3m0000.md"),
        ("❤️", "7k3m0000.md"),
        ("", "7k3m0000.md"),
        (None, "7k3m0000.md"),
    ],
)
def test_title_becomes_a_readable_name(title: str | None, name: str) -> None:
    """Words of any script stay, everything else becomes a hyphen."""
    assert file_name(title, "7k3m0000", "md") == name


@given(title=st.text())
def test_no_title_makes_an_unsafe_name(title: str) -> None:
    """Whatever the title: one folder, short enough, no control or shell characters."""
    name = file_name(title, "7k3m0000", "jsonl")
    assert name.endswith("7k3m0000.jsonl")
    assert len(name.encode()) <= 200
    assert name.count(".") == 1
    assert not set(name) & set("/\\:*?\"<>|\0\n\r\t ~$&;'`")


@given(one=st.text(max_size=20), other=st.text(max_size=20))
def test_names_of_two_conversations_never_meet(one: str, other: str) -> None:
    """Handles differ, so names do, also where the file system ignores case."""
    first, second = file_name(one, "aaaa0000", "md"), file_name(other, "bbbb0000", "md")
    assert first.casefold() != second.casefold()
