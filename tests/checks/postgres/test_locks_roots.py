"""The roots of blocking graphs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.postgres.test_locks import Root, roots

GRAPHS = {
    "nobody waits": ({}, []),
    "one waits for one": ({2: {1}}, [((1,), {2})]),
    "a chain": ({2: {1}, 3: {2}, 4: {3}}, [((1,), {2, 3, 4})]),
    "a queue, in which everybody also waits for those before": ({2: {1}, 3: {1, 2}, 4: {1, 2, 3}}, [((1,), {2, 3, 4})]),
    "two that wait for one": ({2: {1}, 3: {1}}, [((1,), {2, 3})]),
    "one that waits for two": ({3: {1, 2}}, [((1, 2), {3})]),
    "readers before a change, and readers behind it": ({3: {1, 2}, 4: {3}}, [((1, 2), {3, 4})]),
    "two chains": ({2: {1}, 4: {3}, 5: {4}}, [((3,), {4, 5}), ((1,), {2})]),
    "a root of some and one of all": ({2: {1}, 4: {2, 3}}, [((1,), {2, 4}), ((3,), {4})]),
    "a deadlock that is about to be found": ({1: {2}, 2: {1}}, [((1, 2), {1, 2})]),
    "some who wait for a deadlock": ({1: {2}, 2: {1}, 3: {1}}, [((1, 2), {1, 2, 3})]),
    "a circle that also waits for somebody": ({1: {2}, 2: {1, 9}}, [((9,), {1, 2})]),
    "a prepared transaction": ({2: {"gid"}, 3: {2}}, [(("gid",), {2, 3})]),
    "a prepared transaction and a session": ({3: {"gid", 1}}, [((1, "gid"), {3})]),
    "a worker that waits for its own leader": ({1: {1}, 2: {1}}, [((1,), {2})]),
    "a wait that has just ended": ({2: set()}, []),
}


@pytest.mark.parametrize(("graph", "found"), GRAPHS.values(), ids=list(GRAPHS))
def test_roots_are_found_in_any_graph(graph, found):
    assert [Root(nodes, frozenset(waiters)) for nodes, waiters in found] == roots(graph)


def test_deadlock_is_a_cycle():
    (deadlock,), (chain,) = roots({1: {2}, 2: {1}}), roots({2: {1}})

    assert (True, False) == (deadlock.is_cycle, chain.is_cycle)


NODES = st.integers(1, 8)


@given(st.dictionaries(NODES, st.frozensets(NODES, max_size=4), max_size=8))
def test_each_waiter_has_a_root(graph):
    found = roots(graph)

    waiting = {waiter for waiter, blockers in graph.items() if blockers - {waiter}}
    assert waiting == {waiter for root in found for waiter in root.waiters}
    assert all(root.is_cycle or not waiting.intersection(root.nodes) for root in found)
