"""The tree of a conversation is built from parents alone, in any order and of any shape."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from convostore.records import Message
from convostore.tree import Tree


def _message(seq: int, parent: int | None) -> Message:
    return Message(
        role="user" if seq % 2 else "assistant",
        text=f"m{seq}",
        id=f"id-{seq}",
        seq=seq,
        parent_id=None if parent is None else f"id-{parent}",
        parent_seq=parent,
    )


def _tree(
    *pairs: tuple[int, int | None], head: int | None = None
) -> tuple[Tree, dict[int, Message]]:
    messages = [_message(seq, parent) for seq, parent in pairs]
    return Tree(messages, head), {one.seq: one for one in messages}


def test_positions_count_among_siblings() -> None:
    """A question with three answers: the second is 2 of 3, and a second root is a sibling too."""
    tree, at = _tree((1, None), (2, 1), (3, 1), (4, 3), (5, 1), (6, None))
    assert tree.position(at[3]) == (2, 3)
    assert tree.siblings(at[3]) == (at[2], at[3], at[5])
    assert tree.position(at[6]) == (2, 2)
    assert tree.roots == (at[1], at[6])
    assert tree.children(at[1]) == (at[2], at[3], at[5])
    assert tree.path(at[4]) == (at[1], at[3], at[4])
    assert [tree.below(at[seq]) for seq in (1, 3, 4, 6)] == [4, 1, 0, 0]


def test_branches_tell_where_they_begin_and_which_is_active() -> None:
    """Each leaf is a branch; the active one is that below which the head stands."""
    tree, at = _tree((1, None), (2, 1), (3, 1), (4, 3), (5, 4), (6, 3), head=3)
    assert [(b.leaf.seq, b.begins.seq, b.length, b.active) for b in tree.branches()] == [
        (2, 2, 2, False),
        (5, 4, 4, False),
        (6, 6, 3, True),
    ]
    assert tree.leaf_of(at[3]) == at[6]
    assert tree.leaf_of(at[4]) == at[5]


def test_plain_conversation_is_one_flat_branch() -> None:
    """Without forks nothing is deep, and the branch is the whole conversation."""
    tree, at = _tree((1, None), (2, 1), (3, 2), head=3)
    assert [(one.seq, depth) for one, depth in tree.walk()] == [(1, 0), (2, 0), (3, 0)]
    (branch,) = tree.branches()
    assert (branch.begins, branch.leaf, branch.length, branch.active) == (at[1], at[3], 3, True)


def test_empty_tree_has_nothing() -> None:
    """No messages: no roots, no head, no branches."""
    tree = Tree(())
    assert (tree.roots, tree.head, tree.branches(), list(tree.walk())) == ((), None, (), [])


def test_orphans_are_roots_and_circles_are_cut_at_their_earliest_message() -> None:
    """What an import may bring is shown, all of it, once."""
    tree, at = _tree((1, None), (2, 99), (3, 5), (4, 3), (5, 4), (6, 5), (7, 7))
    assert tree.roots == (at[1], at[2], at[3], at[7])
    assert sorted(one.seq for one, _ in tree.walk()) == [1, 2, 3, 4, 5, 6, 7]
    assert tree.path(at[6]) == (at[3], at[4], at[5], at[6])


def test_long_chain_and_many_siblings_need_no_recursion() -> None:
    """A chain of 10,000 with 1,000 answers below its end is built and told whole."""
    chain = [(seq, seq - 1 or None) for seq in range(1, 10_001)]
    fan = [(10_000 + n, 10_000) for n in range(1, 1001)]
    pairs = chain + fan
    random.Random(7).shuffle(pairs)
    tree, at = _tree(*pairs, head=10_500)
    branches = tree.branches()
    assert len(branches) == 1000
    assert {branch.length for branch in branches} == {10_001}
    assert [branch.leaf.seq for branch in branches if branch.active] == [10_500]
    assert tree.position(at[10_002]) == (2, 1000)
    assert len(list(tree.walk())) == 11_000


@given(st.lists(st.integers(-2, 12), max_size=12), st.randoms(use_true_random=False))
def test_any_parents_in_any_order_give_one_whole_tree(
    parents: list[int], shuffle: random.Random
) -> None:
    """Every message is walked once, below its parent, whatever the parents say and the order is."""
    messages = [_message(seq, parent) for seq, parent in enumerate(parents, start=1)]
    tree = Tree(messages)
    walked = [one.id for one, _ in tree.walk()]
    assert sorted(walked) == sorted(one.id for one in messages)
    for one in messages:
        path = tree.path(one)
        assert len({step.id for step in path}) == len(path)
        assert all(walked.index(a.id) < walked.index(b.id) for a, b in itertools.pairwise(path))
    assert {branch.leaf.id for branch in tree.branches()} == {
        one.id for one in messages if not tree.children(one)
    }
    shuffle.shuffle(messages)
    assert [one.id for one, _ in Tree(messages).walk()] == walked
