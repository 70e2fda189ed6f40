from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.changes import same_number
from mltrack.compare.comparators import Finding
from mltrack.compare.verdict.grades import GRADES, is_success
from mltrack.compare.verdict.judge import could_not_run, judge
from mltrack.compare.verdict.outputs import Curve, Evidence
from mltrack.compare.verdict.rules import Rules, is_measure_within, is_within, keys_left_out
from mltrack.config import Tolerance
from mltrack.digest import plain
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import CodeState, MetricSummary, Observation, Run
from mltrack.verdicts import Calibration, Measure, Spread, Verdict
from tests.compare.samples import artifact, digest, input_file, metric, sample_run
from tests.compare.strategies import quick, runs

NONE = Rules()


def pair(then: dict[str, object], now: dict[str, object], rules: Rules = NONE) -> Verdict:
    empty: dict[str, object] = {"artifacts": (), "metrics": {}}
    return judge(sample_run(**(empty | then)), sample_run(id="9dm1c0vw5t2ha7xs", **(empty | now)), rules)


def losses(then: float | str, now: float | str, rules: Rules = NONE) -> Verdict:
    return pair({"metrics": {"loss": metric(then)}}, {"metrics": {"loss": metric(now)}}, rules)


@quick
@given(runs)
def test_a_run_repeated_exactly_is_identical_or_has_nothing_to_compare(run: Run) -> None:
    verdict = judge(run, run, NONE)
    expected = "identical" if run.artifacts or run.metrics else "nothing to compare"
    assert verdict.grade == expected
    assert verdict.of == run.id


@quick
@given(runs, runs)
def test_the_worst_item_gives_the_grade(a: Run, b: Run) -> None:
    verdict = judge(a, b, Rules(tolerance={"*": Tolerance(rel=0.5)}))
    grades = [item.grade for item in (*verdict.artifacts, *verdict.metrics)]
    assert all(GRADES.index(verdict.grade) >= GRADES.index(grade) for grade in grades)
    if verdict.grade == "identical":
        assert {item.path: item.digest for item in a.artifacts} == {item.path: item.digest for item in b.artifacts}
        assert a.metrics.keys() == b.metrics.keys()


@quick
@given(runs, runs)
def test_a_verdict_survives_its_json(a: Run, b: Run) -> None:
    value = plain(to_dict(judge(a, b, NONE)))
    assert plain(to_dict(from_dict(Verdict, json.loads(json.dumps(value, allow_nan=False))))) == value


def test_grades_from_identical_to_within_noise_are_a_success() -> None:
    assert [grade for grade in GRADES if is_success(grade)] == [
        "identical", "equivalent", "within tolerance", "within noise",
    ]  # fmt: skip


def test_nothing_on_both_sides_is_nothing_to_compare() -> None:
    verdict = pair({}, {})
    assert verdict.grade == "nothing to compare"
    assert not is_success(verdict.grade)


def test_missing_extra_and_renamed_artifacts_count() -> None:
    then = {"artifacts": (artifact("same", "a"), artifact("gone", "b"), artifact("old", "c"))}
    verdict = pair(then, {"artifacts": (artifact("same", "a"), artifact("new", "c"), artifact("more", "d"))})
    assert verdict.grade == "different"
    told = {item.path: (item.grade, (item.reason or "").split(":")[0]) for item in verdict.artifacts}
    assert told == {
        "gone": ("different", "missing"), "more": ("different", "extra"), "old": ("different", "renamed"),
        "same": ("identical", ""),
    }  # fmt: skip
    assert (
        next(item.reason for item in verdict.artifacts if item.path == "old")
        == "renamed: the same bytes are now at new"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size_bytes": 2049}, "different bytes: 2,048 then, 2,049 now"),
        ({}, "different bytes, the same size (2,048)"),
        ({"kind": "directory"}, "was a file, is a directory"),
    ],
)
def test_a_changed_artifact_says_how(changes: dict[str, object], reason: str) -> None:
    verdict = pair({"artifacts": (artifact("a", "a"),)}, {"artifacts": (artifact("a", "b", **changes),)})
    assert [(item.grade, item.reason) for item in verdict.artifacts] == [("different", reason)]


def test_a_directory_says_how_many_files_it_has() -> None:
    then = artifact("out", "a", kind="directory", files=3)
    verdict = pair({"artifacts": (then,)}, {"artifacts": (replace(then, digest=digest("b"), files=2),)})
    assert verdict.artifacts[0].reason == "different content: 3 files then, 2 now"


def test_the_same_bytes_with_another_executable_bit_are_equivalent() -> None:
    verdict = pair({"artifacts": (artifact("a"),)}, {"artifacts": (artifact("a", executable=True),)})
    assert verdict.grade == "equivalent"
    assert is_success(verdict.grade)


@pytest.mark.parametrize(
    ("then", "now"), [(0.5, 0.5), (1, 1.0), (math.nan, "NaN"), ("Infinity", math.inf), (0.0, -0.0)]
)
def test_equal_metrics_are_identical(then: float | str, now: float | str) -> None:
    assert losses(then, now).grade == "identical"


@pytest.mark.parametrize(("then", "now"), [(0.5, 0.5000000000000001), ("NaN", 0.5), (math.inf, -math.inf), (1, "NaN")])
def test_metrics_that_are_not_equal_differ_without_a_tolerance(then: float | str, now: float | str) -> None:
    assert losses(then, now).grade == "different"


@pytest.mark.parametrize(
    ("tolerance", "then", "now", "grade"),
    [
        (Tolerance(abs=0.1), 0.2, 0.3, "within tolerance"),
        (Tolerance(abs=0.1), 0.2, 0.3001, "different"),
        (Tolerance(rel=0.01), 200.0, 198.0, "within tolerance"),
        (Tolerance(rel=0.01), -200.0, -202.1, "different"),
        (Tolerance(rel=0.5), 0.0, 1e-12, "different"),
        (Tolerance(abs=1, rel=0.01), 1000, 1009, "within tolerance"),
        (Tolerance(abs=0), 0.2, 0.3, "different"),
        (Tolerance(abs=9, rel=9), 1.0, "NaN", "different"),
        (Tolerance(abs=9, rel=9), math.inf, 1.0, "different"),
        (Tolerance(rel=1), 1e308, -1e308, "different"),
    ],
)  # fmt: skip
def test_tolerances_are_absolute_or_relative_to_the_recorded_value(
    tolerance: Tolerance, then: float, now: float, grade: str
) -> None:
    assert losses(then, now, Rules(tolerance={"loss": tolerance})).grade == grade


def test_an_exact_name_wins_over_a_pattern_and_brackets_in_names_are_no_trap() -> None:
    rules = Rules(tolerance={"*": Tolerance(abs=9), "acc[US]": Tolerance(abs=0.1)})
    then, now = {"metrics": {"acc[US]": metric(0.1)}}, {"metrics": {"acc[US]": metric(0.9)}}
    assert pair(then, now, rules).grade == "different"
    assert pair(then, now, Rules(tolerance={"*": Tolerance(abs=9)})).grade == "within tolerance"
    assert pair(then, now, Rules(ignore=("acc[US]",))).grade == "nothing to compare"


def test_missing_and_extra_metrics_count() -> None:
    verdict = pair({"metrics": {"a": metric(1), "b": metric(2)}}, {"metrics": {"b": metric(2), "c": metric(0)}})
    told = [(item.name, item.then, item.now, item.grade) for item in verdict.metrics]
    assert told == [("a", 1, None, "different"), ("c", None, 0, "different"), ("b", 2, 2, "identical")]
    assert verdict.grade == "different"


def test_another_number_of_points_is_told_and_counts() -> None:
    then, now = {"metrics": {"loss": metric(0.5, 10)}}, {"metrics": {"loss": metric(0.5, 9)}}
    verdict = pair(then, now)
    assert [(item.name, item.change, item.grade) for item in verdict.metrics] == [
        ("loss (points)", -1, "different"), ("loss", 0.0, "identical"),
    ]  # fmt: skip
    assert pair(then, now, Rules(tolerance={"loss (points)": Tolerance(abs=2)})).grade == "within tolerance"


def test_all_that_is_known_of_a_metric_is_judged() -> None:
    summary = MetricSummary(0.5, 0.1, 0.9, 3, 2)
    for changes, part in (({"min": 0.2}, "min"), ({"max": 0.8}, "max"), ({"last_step": 3}, "last step")):
        verdict = pair({"metrics": {"l": summary}}, {"metrics": {"l": replace(summary, **changes)}})
        assert (verdict.grade, verdict.metrics[0].name) == ("different", f"l ({part})")
    rules = Rules(tolerance={"l": Tolerance(abs=0.1)})
    near, far = (
        pair({"metrics": {"l": summary}}, {"metrics": {"l": replace(summary, min=by)}}, rules) for by in (0.2, 0.3)
    )
    assert (near.grade, far.grade) == ("within tolerance", "different")
    assert len(losses(1.0, 2.0).metrics) == 1, "of one point the smallest is the last"


def test_ignored_metrics_and_files_are_left_out() -> None:
    then = {"metrics": {"loss": metric(1), "fit_time": metric(3.1)}, "artifacts": (artifact("logs/a.txt", "a"),)}
    now = {"metrics": {"loss": metric(1), "fit_time": metric(9.9)}, "artifacts": (artifact("logs/a.txt", "b"),)}
    assert pair(then, now).grade == "different"
    for pattern in ("logs/*", "logs/", "logs/a.txt"):
        verdict = pair(then, now, Rules(ignore=("*_time", pattern)))
        assert verdict.grade == "identical"
        assert not verdict.artifacts


def test_the_numbers_in_a_metrics_file_are_compared_as_metrics_and_the_rest_as_a_file() -> None:
    rules = Rules(tolerance={"loss": Tolerance(abs=0.1)}, metric_files=("m.json",))
    then = sample_run(metrics={"loss": metric(1.0), "other": metric(1)}, artifacts=(artifact("m.json", "a"),))

    def grades(loss: float, rest: str) -> list[str]:
        metrics = {**then.metrics, "loss": metric(loss)}
        now = replace(then, metrics=metrics, artifacts=(artifact("m.json", "b"),))
        evidence = Evidence(findings={"m.json": Finding(rest, "a word")}, metric_names={"m.json": ("loss",)})
        verdict = judge(then, now, rules, evidence)
        return [verdict.artifacts[0].grade, verdict.grade]

    assert grades(1.0, "identical") == ["equivalent", "equivalent"]
    assert grades(1.05, "identical") == ["within tolerance", "within tolerance"]
    assert grades(1.5, "equivalent") == ["different", "different"]
    assert grades(1.0, "different") == ["different", "different"]


def test_a_curve_that_moved_is_excused_by_what_excuses_its_last_value() -> None:
    then = sample_run(artifacts=(), metrics={"loss": metric(1.0, 9)})
    curve = Curve("at step 3", 0.5, 0.6, Measure(9, 1, 0.1, 0.2, "at step 3"))

    def grade(known: Curve, calibration: Calibration | None = None, **tolerance: Tolerance) -> str:
        return judge(then, then, Rules(tolerance), Evidence(curves={"loss": known}), calibration).grade

    def noise(*values: float) -> Calibration:
        spread = Spread(values, 1.0, 0.1, 0.5, 1.5)
        return Calibration("c", "x", "nothing", ("r",) * 9, (7,) * 9, None, "", 0.95, 0.95, metrics={"loss": spread})

    assert (grade(curve), grade(curve, None, loss=Tolerance(abs=0.1))) == ("different", "within tolerance")
    assert grade(curve, None, loss=Tolerance(abs=0.05)) == "different"
    assert (grade(curve, noise(1.0, 1.1)), grade(curve, noise(1.0, 1.0))) == ("within noise", "different")
    assert judge(then, then, Rules(ignore=("loss",)), Evidence(curves={"loss": curve})).grade == "nothing to compare"


def test_a_tolerance_of_a_file_has_the_slack_of_a_metric() -> None:
    by = 0.3 - 0.2
    assert by > 0.0999 and is_measure_within(Measure(1, 1, 0.7 - 0.6, 1.0), Tolerance(abs=0.1)) == (
        is_within(0.6, 0.7 - 0.6, Tolerance(abs=0.1))
    )
    above = 0.1 * (1 + 1e-12)
    assert is_measure_within(Measure(1, 1, above, 1.0), Tolerance(abs=0.1)) and is_within(
        0.6, above, Tolerance(abs=0.1)
    )
    assert not is_measure_within(Measure(1, 1, 0.1001, 1.0), Tolerance(abs=0.1))


def test_keys_of_files_can_be_left_out() -> None:
    ignore = ("log.csv#seconds", "*.json#*_s", "a.txt")
    assert [keys_left_out(path, ignore) for path in ("log.csv", "x/b.json", "a.txt")] == [("seconds",), ("*_s",), ()]


def test_a_metrics_file_that_gave_no_metric_is_compared_by_its_bytes() -> None:
    then, now = {"artifacts": (artifact("metrics.json", "a"),)}, {"artifacts": (artifact("metrics.json", "b"),)}
    assert pair(then, now, Rules(metric_files=("metrics.json",))).grade == "different"


def test_another_end_of_the_command_is_different_and_told_first() -> None:
    verdict = pair({}, {"status": "failed", "exit_code": 3})
    assert verdict.grade == "different"
    assert [(item.what, item.then, item.now) for item in verdict.conditions] == [
        ("status", "finished", "failed"), ("exit_code", 0, 3),
    ]  # fmt: skip


def test_the_end_of_a_lost_run_is_not_known_and_not_compared() -> None:
    verdict = pair({"status": "lost", "exit_code": None, "metrics": {"a": metric(1)}}, {"metrics": {"a": metric(1)}})
    assert verdict.grade == "identical"


def test_an_observed_input_of_one_run_counts_only_where_both_could_have_seen_it() -> None:
    seen = {"found": "observed"}
    gone = input_file("/srv/a.csv", **seen)

    def told(before: Run, after: Run) -> list[str]:
        return [item.what for item in judge(before, after, NONE).conditions]

    whole = Observation(("library",), True)
    then = sample_run(inputs=(gone,), observation=whole)
    now = sample_run(id="9dm1c0vw5t2ha7xs", inputs=(), observation=whole)
    assert told(then, now) == ["inputs./srv/a.csv"] == told(now, then)
    assert not told(replace(then, observation=replace(whole, complete=False)), now)
    assert "inputs./srv/a.csv" not in told(replace(then, artifacts=(artifact("/srv/a.csv"),)), now)
    assert not told(replace(then, inputs=(input_file("/tmp/x1", **seen),)), now)
    assert not told(then, replace(now, inputs=(input_file("/srv", "e", kind="directory", **seen),)))
    assert told(then, replace(now, inputs=(replace(gone, digest=digest("f")),))) == ["inputs./srv/a.csv"]
    assert told(replace(then, inputs=(replace(gone, found="declared"),), observation=None), now)


def test_conditions_name_what_differs_around_the_result() -> None:
    run = sample_run()
    now = sample_run(
        id="9dm1c0vw5t2ha7xs",
        environment=replace(
            run.environment, python="3.12.0", packages={**run.environment.packages, "numpy": "2.2.0"},
            variables={"OMP_NUM_THREADS": "4", "PYTHONHASHSEED": "7"}, lockfile=digest("0"),
        ),
        hardware=replace(run.hardware, cores=2, gpus=(), memory_bytes=1, kernel="6.9"),
        origin={"mltrack": "0.2.0"},
        code=CodeState(tree="77" * 20),
        inputs=(input_file("data/train.csv", "0"),),
        params=run.params | {"lr": 0.2},
        command=("/other/bin/python", *run.command[1:]),
    )  # fmt: skip
    told = {item.what: (item.then, item.now) for item in judge(run, now, NONE).conditions}
    assert told.keys() == {
        "python", "packages.numpy", "variables.OMP_NUM_THREADS", "cores", "kernel", "gpus.0.name", "gpus.0.driver",
        "gpus.0.cuda", "mltrack", "code.tree", "code.vendor/lib/: tree", "inputs.data/train.csv", "params.lr",
    }  # fmt: skip
    assert told["inputs.data/train.csv"] == (digest("d"), digest("0"))
    assert told["mltrack"] == ("0.1.0", "0.2.0")


def test_another_argument_is_a_condition() -> None:
    run = sample_run()
    now = replace(run, id="9dm1c0vw5t2ha7xs", command=("python", "train.py", "--lr", "0.2"))
    assert "command" in {item.what for item in judge(run, now, NONE).conditions}


def test_a_reproduction_that_stopped_says_where_and_why() -> None:
    verdict = could_not_run("3kq8f2zxm1n4p7rt", "environment", "No wheel was found.")
    assert (verdict.grade, verdict.phase, verdict.cause) == ("could not run", "environment", "No wheel was found.")
    assert not is_success(verdict.grade)


@quick
@given(runs, runs, st.data())
def test_no_success_hides_that_anything_is_missing_extra_or_unexplained(a: Run, b: Run, data: st.DataObject) -> None:
    b = replace(b, artifacts=data.draw(st.sampled_from([a.artifacts, b.artifacts])))
    paths = st.sampled_from([item.path for item in a.artifacts] or ["none"])
    grades = st.sampled_from(["equivalent", "different"])
    findings = {
        path: Finding(grade, "") for path, grade in data.draw(st.dictionaries(paths, grades, max_size=3)).items()
    }
    verdict = judge(a, b, NONE, Evidence(findings=findings))
    if is_success(verdict.grade):
        assert len(a.artifacts) == len(b.artifacts)
        assert a.metrics.keys() == b.metrics.keys()
        assert all(same_number(one.last, b.metrics[name].last) for name, one in a.metrics.items())
        now = {item.path: item for item in b.artifacts}
        for item in a.artifacts:
            if item.path in now and now[item.path].digest != item.digest:
                assert findings[item.path].grade == "equivalent"
