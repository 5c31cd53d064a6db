"""The order of stages, and circles."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mlpipe.recipe.order import ordered, shown

GRAPHS = st.integers(1, 12).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            str(i): st.lists(st.sampled_from([str(j) for j in range(n)]), max_size=3)
            for i in range(n)
        }
    )
)


def test_given_order_is_kept_where_it_can_be() -> None:
    assert ordered({"a": [], "b": [], "c": ["a"], "d": []})[0] == ["a", "b", "c", "d"]
    assert ordered({"a": ["c"], "b": [], "c": []})[0] == ["c", "a", "b"]


def test_stages_that_are_not_there_do_not_count() -> None:
    assert ordered({"a": ["gone"]}) == (["a"], [])


@given(GRAPHS)
def test_each_comes_after_those_it_depends_on_or_a_circle_is_shown(
    graph: dict[str, list[str]],
) -> None:
    order, circles = ordered(graph)
    assert sorted(order) == sorted(graph)
    for circle in circles:
        assert circle[0] == circle[-1]
        assert all(before in graph[after] for before, after in pairwise(circle))
    place = {name: number for number, name in enumerate(order)}
    late = [name for name in graph if any(place[each] >= place[name] for each in graph[name])]
    assert bool(late) == bool(circles)


def test_deep_chains_need_no_stack() -> None:
    chain = {str(i): [str(i + 1)] for i in range(20_000)}
    order, circles = ordered(chain)
    assert (order[0], order[-1], circles) == ("19999", "0", [])


def test_long_circles_are_shown_in_part() -> None:
    assert shown(["a", "b", "a"]) == "a → b → a"
    names = [f"s{i}" for i in range(100)]
    assert shown([*names, "s0"]) == (
        "s0 → s1 → s2 → s3 → s4 → s5 → … 89 more … → s95 → s96 → s97 → s98 → s99 → s0"
    )
