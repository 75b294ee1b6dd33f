"""Stores of any size, made with a seed: what the search and the list are measured on.

(A) conversations of 1 to 10,000 messages, 20 on average, as chats are: most of them short. The
lengths of messages are exponential, 1,250 characters on average. (B) conversations of one message.
The words are made up, and come as often as words do (Zipf); some are planted, to be found again.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.byhand.shelf import handle
from convostore.ids import new_id
from convostore.storage.canonical import content_hash
from convostore.storage.search_marks import add_messages
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.storage.statements import Tx

MEAN_CHARACTERS = 1_250
LONGEST = 10_000  # messages of a conversation
MEAN_MESSAGES = 20
EVERYWHERE, COMMON, RARE = "the", "lantern", "zyzzyva"
COMMON_EVERY, RARE_EVERY = 10, 20_000  # messages; the first word is in most of them
_WORDS = 40_000
_SECOND_MS = 1_000
_AT_ONCE = 2_000  # messages a transaction


@dataclass(frozen=True, slots=True)
class Library:
    """What is in a store that was made.

    Attributes:
        messages: how many.
        conversations: how many.
        characters: of all texts together.
    """

    messages: int
    conversations: int
    characters: int


class Texts:
    """Makes texts of words that come as often as words do."""

    def __init__(self, random: Random, rare_every: int) -> None:
        self._random, self._rare_every = random, rare_every
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        weights = [1 / (rank + 2) for rank in range(len(letters))]
        words = [EVERYWHERE, "of", "and", "to", "in", "is", "that", "it", "for", "you"]
        made = {*words, COMMON, RARE}
        while len(words) < _WORDS:
            length = min(2 + int(random.expovariate(0.18)), 16)
            word = "".join(random.choices(letters, weights, k=length))
            if word not in made:
                made.add(word)
                words.append(word)
        self._words = words
        self._weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(_WORDS)))
        self._mean = 6.2

    def text(self, number: int) -> str:
        """Return the text of the message of that number."""
        wanted = self._random.expovariate(1 / MEAN_CHARACTERS)
        count = max(1, int(wanted / self._mean))
        words = self._random.choices(self._words, cum_weights=self._weights, k=count)
        if number % COMMON_EVERY == 0:
            words.insert(self._random.randrange(count + 1), COMMON)
        if number % self._rare_every == self._rare_every // 2:
            words.append(RARE)
        return " ".join(words)


def lengths(random: Random, messages: int, *, one_each: bool) -> Iterator[int]:
    """Yield how many messages each conversation has, until there are as many as are wanted."""
    left = messages
    while left > 0:
        # A long tail (Lomax): most are short, and a few have thousands.
        length = 1 if one_each else 1 + int(21 * (random.random() ** (-1 / 2.2) - 1) * 1.15)
        length = min(length, LONGEST, left)
        left -= length
        yield length


def fill(
    tx: Tx, begin: Any, commit: Any, owner_id: str, *, messages: int, one_each: bool, seed: int
) -> Library:
    """Store a library, in bulk, marked for the search index as every message is.

    Args:
        tx: on the writing connection.
        begin: begins a transaction.
        commit: commits it.
        owner_id: whose.
        messages: how many.
        one_each: (B), else (A).
        seed: the same makes the same texts.
    """
    random = Random(seed)
    texts = Texts(random, min(RARE_EVERY, messages))
    now_ms = time.time_ns() // 1_000_000 - messages * _SECOND_MS
    number = characters = count = 0
    rows: list[dict[str, Any]] = []
    talks: list[dict[str, Any]] = []
    for count, length in enumerate(lengths(random, messages, one_each=one_each), start=1):
        id_, above = new_id(), None
        for seq in range(1, length + 1):
            number += 1
            text = texts.text(number)
            characters += len(text)
            role = ("assistant", "user")[seq % 2]
            above = content_hash(above, role, text, None)
            at_ms = now_ms + number * _SECOND_MS
            rows.append(_message(owner_id, id_, seq, role, text, at_ms, above))
        talks.append(_conversation(owner_id, id_, count, length, rows[-1]))
        if len(rows) >= _AT_ONCE:
            _store(tx, begin, commit, talks, rows)
    _store(tx, begin, commit, talks, rows)
    return Library(number, count, characters)


def _store(
    tx: Tx, begin: Any, commit: Any, talks: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    from convostore.storage.forks import _ADD

    begin()
    tx.many(_ADD, talks)
    add_messages(tx, rows)
    commit()
    talks.clear()
    rows.clear()


def _conversation(
    owner_id: str, id_: str, number: int, length: int, last: dict[str, Any]
) -> dict[str, Any]:
    empty = dict.fromkeys(column.name for column in conversation.c)
    return empty | {
        "owner_id": owner_id,
        "id": id_,
        "handle": handle(number),
        "title": last["text"][:60],
        "title_source": "fallback",
        "provider": "instant",
        "model": "instant-1",
        "head_seq": length,
        "last_seq": length,
        "message_count": length,
        "interrupted_count": 0,
        "pinned": 0,
        "created_at_ms": last["created_at_ms"] - length * _SECOND_MS,
        "updated_at_ms": last["created_at_ms"],
    }


def _message(*values: Any) -> dict[str, Any]:
    owner_id, id_, seq, role, text, at_ms, hash_ = values
    empty = dict.fromkeys(column.name for column in message.c)
    return empty | {
        "owner_id": owner_id,
        "conversation_id": id_,
        "seq": seq,
        "id": new_id(),
        "parent_seq": seq - 1 or None,
        "role": role,
        "status": "completed",
        "text": text,
        "model": "instant-1" if role == "assistant" else None,
        "created_at_ms": at_ms,
        "finished_at_ms": at_ms,
        "content_hash": hash_,
    }
