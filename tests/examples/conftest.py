"""What the tests of the example bots share."""

from __future__ import annotations

import pytest

from convostore.events import Finished
from convostore.testing import ScriptedProvider


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that answers everything, unless the test says otherwise."""
    provider = ScriptedProvider()
    provider.otherwise = ("an ", "answer", Finished())
    return provider
