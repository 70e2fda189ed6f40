"""A grade is the worst of what is known: more concerns never make it better."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.preflight.grade import GRADES, brief, grade, is_worse, line, rank
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import Concern, Preflight

WORDS = st.text("abc d:.", max_size=12)
CONCERNS = st.builds(
    Concern,
    kind=st.sampled_from(["seed", "network", "odd"]),
    grade=st.sampled_from(GRADES),
    message=WORDS,
    remedy=WORDS,
)


@given(st.lists(CONCERNS, max_size=8), st.lists(CONCERNS, max_size=8))
def test_more_concerns_never_give_a_better_grade(some: list[Concern], more: list[Concern]) -> None:
    alone, together = grade(some), grade([*some, *more])
    assert not is_worse(alone.grade, together.grade)
    assert together.grade == max((alone.grade, grade(more).grade), key=rank)


@given(st.lists(CONCERNS, max_size=8), st.randoms())
def test_the_order_of_concerns_does_not_matter_to_the_grade(some: list[Concern], random: object) -> None:
    mixed = list(some)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert grade(mixed).grade == grade(some).grade


@given(st.lists(CONCERNS, max_size=8))
def test_concerns_come_worst_first_and_each_once(some: list[Concern]) -> None:
    found = grade([*some, *some]).concerns
    ranks = [rank(one.grade) for one in found]
    assert ranks == sorted(ranks, reverse=True)
    assert len({(one.kind, one.message) for one in found}) == len(found)
    assert {(one.kind, one.message) for one in found} == {(one.kind, one.message) for one in some}
    assert from_dict(Preflight, to_dict(grade(some))) == grade(some)


def test_nothing_to_say_is_an_a_and_no_line() -> None:
    remark = Concern("no-git", "A", "There is no git repository: it is recorded.", "git init")
    assert (grade([]).grade, line(grade([]))) == ("A", None)
    assert (grade([remark]).grade, line(grade([remark]))) == ("A", None)


def test_a_line_names_the_worst_and_counts_the_rest() -> None:
    seed = Concern("seed", "B", "No seed is set: train.py uses random numbers.", "")
    network = Concern("network", "D", "It reads from the network: https://example.org/a.", "")
    others = [Concern("x", "B", f"Thing {number}.", "") for number in range(3)]
    assert brief(network) == "it reads from the network"
    assert brief(Concern("x", "B", "A\x1b[2J\nb", "")) == "a\ufffd[2J\ufffdb"
    assert line(grade([seed])) == "preflight B: no seed is set"
    assert line(grade([seed, network, *others])) == (
        "preflight D: it reads from the network; no seed is set; thing 0; 2 more"
    )


def test_a_grade_of_a_newer_mltrack_counts_as_the_worst() -> None:
    assert is_worse("Z", "F") and not is_worse("F", "Z")
