"""Ids that are chosen at random: of the right shape, and each only once."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from convostore import ids
from convostore.handles import ALPHABET


def test_tokens_are_sixteen_characters_and_never_the_same() -> None:
    """More of them than are chosen in one go."""
    tokens = [ids.new_token() for _ in range(1_000)]
    assert {len(token) for token in tokens} == {16}
    assert set("".join(tokens)) == set(ALPHABET)
    assert len(set(tokens)) == len(tokens)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_process_chooses_other_tokens_than_its_parent() -> None:
    """What the parent has chosen beforehand is not the child's too."""
    ids.new_token()
    reading, writing = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        writing.send([ids.new_token() for _ in range(300)])
        os._exit(0)
    os.waitpid(child, 0)
    assert not {ids.new_token() for _ in range(300)} & set(reading.recv())
