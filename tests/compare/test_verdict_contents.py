"""What contents, tolerances of files and calibrations do to a verdict; all by hand-made findings."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.comparators import Finding
from mltrack.compare.verdict.grades import GRADES, NOTHING_TO_COMPARE, worst
from mltrack.compare.verdict.judge import calibration_for, judge
from mltrack.compare.verdict.outputs import MOST_MEMBERS, Evidence
from mltrack.compare.verdict.rules import Rules
from mltrack.config import Tolerance
from mltrack.records import Artifact, Parent
from mltrack.verdicts import Calibration, Looks, Measure, Spread, Variation, Verdict
from tests.compare.samples import artifact, metric, sample_run

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
NONE = Rules()


def calibration(
    many: int = 10, vary: str = "nothing", metrics: dict[str, Spread] | None = None,
    artifacts: dict[str, Variation] | None = None, id: str = "c1",
) -> Calibration:  # fmt: skip
    runs = tuple(f"run{number}" for number in range(many))
    return Calibration(
        id, "x", vary, runs, (7,) * many, "here", "", 0.95, 0.95, metrics=metrics or {}, artifacts=artifacts or {}
    )


def one_file(
    finding: Finding | None,
    rules: Rules = NONE,
    known: Calibration | None = None,
    path: str = "m.json",
    looks: dict[str, tuple[Looks, Looks]] | None = None,
) -> Verdict:
    then = sample_run(metrics={}, artifacts=(artifact(path, "a"),))
    now = replace(then, artifacts=(artifact(path, "b"),))
    return judge(then, now, rules, Evidence(findings={path: finding} if finding else {}, looks=looks or {}), known)


def measure(largest: float | str | None, relative: float | str | None = None) -> Measure:
    return Measure(10, 2, largest, relative, "row 1")


# -- findings


def test_without_a_finding_the_bytes_count() -> None:
    assert one_file(None).grade == "different"
    assert one_file(Finding("equivalent", "only times differ")).grade == "equivalent"
    different = one_file(Finding("different", "2 cells differ", measure(0.1, 0.2)))
    assert (different.grade, different.artifacts[0].measure) == ("different", measure(0.1, 0.2))


@pytest.mark.parametrize(
    ("tolerance", "found", "grade"),
    [
        (Tolerance(abs=0.1), measure(0.1, 9.0), "within tolerance"),
        (Tolerance(abs=0.1), measure(0.11, 0.0001), "different"),
        (Tolerance(rel=0.01), measure(50.0, 0.01), "within tolerance"),
        (Tolerance(rel=0.01), measure(50.0, 0.02), "different"),
        (Tolerance(rel=0.01), measure(1e-9, "Infinity"), "different"),
        (Tolerance(rel=0.01), measure(1e-9, None), "different"),
        (Tolerance(abs=9, rel=9), measure("NaN", 0.0), "different"),
        (Tolerance(abs=9, rel=9), measure(None, None), "different"),
        (Tolerance(abs=9, rel=9), None, "different"),
    ],
)
def test_a_tolerance_holds_for_files_that_differ_in_numbers_only(
    tolerance: Tolerance, found: Measure | None, grade: str
) -> None:
    finding = Finding("different", "2 cells differ", found)
    assert one_file(finding, Rules({"*.json": tolerance})).grade == grade
    assert one_file(finding, Rules({"*.csv": tolerance})).grade == "different"


# -- directories


def directory(letters: dict[str, str], letter: str) -> tuple[Artifact, tuple[Artifact, ...]]:
    members = tuple(artifact(f"out/{name}", one) for name, one in letters.items())
    return artifact("out", letter, kind="directory", files=len(members)), members


def two_directories(then: dict[str, str], now: dict[str, str], rules: Rules = NONE, **findings: Finding) -> Verdict:
    (a, before), (b, after) = directory(then, "a"), directory(now, "b")
    first = sample_run(metrics={}, artifacts=(a,))
    known = {f"out/{name.replace('_', '.')}": finding for name, finding in findings.items()}
    return judge(first, replace(first, artifacts=(b,)), rules, Evidence({"out": (before, after)}, known))


def test_a_directory_is_as_good_as_its_worst_file_and_names_those_that_differ() -> None:
    same = {f"f{number}": "1" for number in range(38)}
    verdict = two_directories(same | {"a.log": "1", "b.log": "1"}, same | {"a.log": "2", "b.log": "2"},
                              a_log=Finding("equivalent", "times"), b_log=Finding("equivalent", "times"))  # fmt: skip
    assert verdict.grade == "equivalent"
    assert [item.path for item in verdict.artifacts] == ["out", "out/a.log", "out/b.log"]
    assert verdict.artifacts[0].reason == "38 of 40 files identical, 2 equivalent"
    worse = two_directories({"a.log": "1", "b": "1"}, {"a.log": "2", "b": "2"}, a_log=Finding("equivalent", "times"))
    assert worse.grade == "different"
    assert [item.grade for item in worse.artifacts] == ["different", "different", "equivalent"]


def test_missing_extra_and_renamed_files_of_a_directory_are_named() -> None:
    verdict = two_directories({"a": "1", "b": "2", "c": "3"}, {"a": "1", "d": "2", "e": "5"})
    assert verdict.grade == "different"
    told = "1 of 4 files identical, 3 different, missing: c, extra: e, renamed: b"
    assert verdict.artifacts[0].reason == told


def test_files_of_a_directory_that_are_left_out_do_not_count() -> None:
    verdict = two_directories({"a": "1", "t.log": "1"}, {"a": "1", "t.log": "2"}, Rules(ignore=("out/*.log",)))
    assert (verdict.grade, len(verdict.artifacts)) == ("identical", 1)
    assert "left out by verdict.ignore" in (verdict.artifacts[0].reason or "")
    assert two_directories({"a": "1", "t.log": "1"}, {"a": "2", "t.log": "2"}, Rules(ignore=("out/*.log",))).grade == (
        "different"
    )


def test_of_very_many_files_that_differ_only_some_are_listed_and_all_count() -> None:
    many = {f"f{number:04}": "1" for number in range(MOST_MEMBERS + 20)}
    verdict = two_directories(many, dict.fromkeys(many, "2"))
    assert len(verdict.artifacts) == MOST_MEMBERS + 1
    assert "20 that differ are not listed" in (verdict.artifacts[0].reason or "")


# -- noise

WIDE = Spread((0.50, 0.52), 0.51, 0.01, 0.40, 0.60)


def losses(then: float, now: float, known: Calibration | None, rules: Rules = NONE) -> Verdict:
    a = sample_run(artifacts=(), metrics={"loss": metric(then)})
    return judge(a, replace(a, metrics={"loss": metric(now)}), rules, calibration=known)


@pytest.mark.parametrize(
    ("then", "now", "grade"),
    [
        (0.5, 0.5, "identical"),
        (0.45, 0.55, "within noise"),
        (0.45, 0.601, "different"),
        (0.39, 0.5, "different"),
        (0.45, "NaN", "different"),
    ],
)
def test_noise_excuses_only_where_both_values_lie_in_the_interval(then: float, now: float, grade: str) -> None:
    verdict = losses(then, now, calibration(metrics={"loss": WIDE}))
    assert verdict.grade == grade
    assert losses(then, now, None).grade == ("identical" if then == now else "different")
    if grade != "identical":
        assert (verdict.metrics[0].low, verdict.metrics[0].high) == (0.40, 0.60)


def test_a_tolerance_is_asked_before_the_noise_and_a_verdict_names_its_calibration() -> None:
    known = calibration(metrics={"loss": WIDE})
    verdict = losses(0.45, 0.5, known, Rules({"loss": Tolerance(abs=0.1)}))
    assert (verdict.grade, verdict.calibration, verdict.repetitions) == ("within tolerance", "c1", 10)
    assert not verdict.remarks
    assert "lies outside of what its 10 repetitions gave" in losses(0.1, 0.5, known).remarks[0]


def test_another_number_of_points_is_no_noise() -> None:
    a = sample_run(artifacts=(), metrics={"loss": metric(0.5, 10)})
    b = replace(a, metrics={"loss": metric(0.51, 9)})
    assert judge(a, b, NONE, calibration=calibration(metrics={"loss": WIDE})).grade == "different"


def test_only_a_calibration_with_nothing_varied_excuses_a_repetition_with_the_same_seed() -> None:
    nothing, seed = calibration(id="n"), calibration(vary="seed", id="s")
    run = sample_run(calibrations=(nothing, seed))
    assert calibration_for(run, run) is nothing
    assert calibration_for(replace(run, calibrations=(seed,)), run) is None
    assert calibration_for(run, replace(run, seed=8)) is seed
    later = calibration(id="later")
    assert calibration_for(replace(run, calibrations=(nothing, later)), run) is later
    bare = sample_run(parent=Parent("reproduce", "x"))
    assert calibration_for(bare, run, run) is nothing
    assert calibration_for(bare, run) is None
    set_by_param = replace(run, seed=None, params={"seed": 1}, param_sources={"seed": "argv"}, calibrations=(seed,))
    assert calibration_for(set_by_param, replace(set_by_param, params={"seed": 2})) is seed
    assert calibration_for(set_by_param, set_by_param) is None


def test_a_calibration_of_few_repetitions_is_said_to_be_one() -> None:
    few = losses(0.45, 0.5, calibration(4, metrics={"loss": WIDE}))
    assert (few.grade, "4 repetitions only" in few.remarks[0]) == ("within noise", True)


def bounded(**changes: object) -> Variation:
    return replace(Variation(10, 0, 0, 0.2, 0.01, 0.3, 0.02), **changes)


def test_numbers_in_a_file_are_noise_up_to_what_its_repetitions_allow() -> None:
    def grade(found: Measure, variation: Variation) -> str:
        return one_file(Finding("different", "x", found), NONE, calibration(artifacts={"m.json": variation})).grade

    assert grade(measure(0.3, 0.02), bounded()) == "within noise"
    assert grade(measure(0.31, 0.02), bounded()) == "different"
    assert grade(measure(0.3, 0.03), bounded()) == "different"
    assert grade(measure("NaN", 0.01), bounded()) == "different"
    assert grade(measure(0.1, "Infinity"), bounded()) == "different"
    assert grade(measure(0.1, 0.01), bounded(contents=1)) == "different"
    assert grade(measure(0.1, 0.01), bounded(missing=1)) == "different"


SILENT = Variation(10, 0, 0, looks=Looks(2000, 2100, "80"))
LIKE = {"m.pkl": (Looks(2048, 2048, "8004"), Looks(2050, 2050, "8004"))}


def test_bytes_that_differed_in_every_repetition_say_nothing_and_never_more_than_within_noise() -> None:
    known = calibration(artifacts={"m.pkl": SILENT})
    opaque = Finding("different", "a pickle: its bytes differ")
    alone = one_file(opaque, known=known, path="m.pkl", looks=LIKE)
    assert (alone.grade, alone.artifacts[0].grade) == (NOTHING_TO_COMPARE, NOTHING_TO_COMPARE)
    assert "they say nothing" in (alone.artifacts[0].reason or "")
    then = sample_run(artifacts=(artifact("m.pkl", "a"),), metrics={"loss": metric(0.5)})
    now = replace(then, artifacts=(artifact("m.pkl", "b"),))
    assert judge(then, now, NONE, Evidence(findings={"m.pkl": opaque}, looks=LIKE), known).grade == "within noise"
    moved = replace(now, metrics={"loss": metric(0.6)})
    assert judge(then, moved, NONE, Evidence(findings={"m.pkl": opaque}, looks=LIKE), known).grade == "different"


def test_an_empty_file_another_kind_or_an_absurd_size_is_not_excused() -> None:
    known = calibration(artifacts={"m.pkl": SILENT})
    opaque = Finding("different", "its bytes differ")
    like = LIKE["m.pkl"][0]
    for odd in (Looks(0, 0), Looks(9, 9, "8004"), Looks(2050, 2050, "504b"), Looks(2050, 2050, "80", is_text=True)):
        verdict = one_file(opaque, known=known, path="m.pkl", looks={"m.pkl": (like, odd)})
        assert (verdict.grade, "its size or kind did not" in (verdict.artifacts[0].reason or "")) == ("different", True)
    assert one_file(opaque, known=known, path="m.pkl").grade == "different", "nobody knows how they look"
    texts = calibration(artifacts={"m.pkl": replace(SILENT, looks=Looks(2000, 2100, "", is_text=True))})
    text = one_file(opaque, known=texts, path="m.pkl", looks=LIKE)
    assert (text.grade, "verdict.ignore would leave it out" in (text.artifacts[0].reason or "")) == ("different", True)


@pytest.mark.parametrize(
    "variation",
    [
        Variation(9, 0, 0), Variation(10, 1, 0), Variation(10, 0, 1), Variation(1, 0, 0), Variation(1, 10, 0),
        Variation(10, 0, 0, 0.1, 0.1),
    ],
)  # fmt: skip
def test_bytes_that_were_ever_the_same_do_say_something(variation: Variation) -> None:
    known = calibration(artifacts={"m.pkl": variation})
    assert one_file(Finding("different", "its bytes differ"), known=known, path="m.pkl").grade == "different"


def test_a_missing_file_is_no_noise() -> None:
    then = sample_run(metrics={}, artifacts=(artifact("m.pkl", "a"),))
    known = calibration(artifacts={"m.pkl": SILENT})
    assert judge(then, replace(then, artifacts=()), NONE, calibration=known).grade == "different"


@settings(max_examples=60 * SOAK, deadline=None)
@given(st.lists(st.sampled_from(GRADES[:-1])))
def test_the_worst_grade_wins_and_silence_never_makes_a_success_better(grades: list[str]) -> None:
    whole = worst(grades)
    told = [grade for grade in grades if grade != NOTHING_TO_COMPARE]
    if not told:
        assert whole == NOTHING_TO_COMPARE
    else:
        assert GRADES.index(whole) >= max(map(GRADES.index, told))
        assert whole != NOTHING_TO_COMPARE
        if len(told) < len(grades):
            assert GRADES.index(whole) >= GRADES.index("within noise")


def test_findings_of_other_paths_change_nothing() -> None:
    then = sample_run(metrics={}, artifacts=(artifact("a", "1"),))
    now = replace(then, artifacts=(artifact("a", "2"),))
    assert judge(then, now, NONE, Evidence(findings={"b": Finding("equivalent", "")})).grade == "different"
