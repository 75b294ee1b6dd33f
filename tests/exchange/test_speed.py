"""An export is read well above the speed at which it can be stored."""

from __future__ import annotations

import io
import json
import time

import pytest

from convostore.exchange.reading import open_export
from convostore.formats.foreign import ForeignConversation
from tests.exchange.test_trees import chatgpt

MESSAGES_PER_S = 20_000


@pytest.mark.long
def test_messages_are_read_at_twenty_thousand_a_second() -> None:
    """In the time that the processor takes for it, of conversations of forty messages."""
    tree = {str(n): str(n - 1) if n else None for n in range(40)}
    texts = {str(n): 'Some "words" and a line\n' * (n % 2 * 20 + 2) for n in range(40)}
    ones = [chatgpt(tree, texts) | {"id": f"c-{number}"} for number in range(1000)]
    raw = json.dumps(ones).encode()
    start = time.process_time()
    with open_export(io.BytesIO(raw)) as export:
        messages = sum(len(one.messages) for one in export if isinstance(one, ForeignConversation))
    taken = time.process_time() - start
    assert messages == 40_000
    assert messages / taken > MESSAGES_PER_S
