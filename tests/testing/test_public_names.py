"""The public names of `convostore.testing` are there, and cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import convostore.testing


def test_every_public_name_can_be_had() -> None:
    """`__all__` is exactly what can be imported, in alphabetical order."""
    for name in convostore.testing.__all__:
        assert getattr(convostore.testing, name).__name__ == name
    assert dir(convostore.testing) == sorted(convostore.testing.__all__)


def test_any_other_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="PlaygroundSever"):
        _ = convostore.testing.PlaygroundSever


def test_the_scripted_provider_needs_no_web_server() -> None:
    """A test that only scripts a provider imports no aiohttp."""
    code = "import sys; from convostore.testing import ScriptedProvider; print('aiohttp' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "False"
