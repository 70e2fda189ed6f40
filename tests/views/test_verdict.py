from __future__ import annotations

from dataclasses import replace

import pytest

from mltrack.compare.verdict.grades import GRADES
from mltrack.compare.verdict.judge import could_not_run, judge
from mltrack.compare.verdict.rules import Rules
from mltrack.config import Tolerance
from mltrack.records import Parent, Run
from mltrack.verdicts import ArtifactVerdict, Calibration, Measure, Spread, Verdict
from mltrack.views.text import parse_time
from mltrack.views.verdict import verdict_page
from mltrack.views.verdict_words import few_words, reason
from mltrack.views.verdicts import verdicts_page
from tests.compare.samples import artifact, metric, sample_run

DIFFERENT = """\
✗ different: the command failed with exit 1; the original finished. Compared all the same: 1 of 4 artifacts byte for byte, 3 different; 1 of 4 metrics exact; accuracy (points) moved by -1, and 2 more differ.  (compared with 3kq8f2zx)

It ended differently
  status     finished  →  failed
  exit_code  0         →  1

Artifacts that differ  1 more identical
  models/best.pt  different  different bytes: 1,300,000 then, 1,300,010 now
  plots/loss.svg  different  renamed: the same bytes are now at plots/l.svg
  x.txt           different  extra: the recorded run did not write it

Metrics that differ  1 more identical
                        then     now  change
  accuracy (points)       10       9      -1  different
  new                missing     NaN          different
  val_loss           0.20113  0.2012   +7e-5  within tolerance

What was not the same around it
  python  3.11.7  →  3.11.9
  numpy   2.1.0   →  none
  cores   8       →  2
"""


def test_a_verdict_is_told_with_its_reasons() -> None:
    run = sample_run()
    then = replace(run, artifacts=(*run.artifacts, artifact("same", "5")))
    now = replace(
        run, id="9dm1c0vw5t2ha7xs", status="failed", exit_code=1,
        artifacts=(
            artifact("models/best.pt", "c", 1_300_010), artifact("plots/l.svg", "b"), artifact("x.txt", "9"),
            artifact("same", "5"),
        ),
        metrics={"val_loss": replace(run.metrics["val_loss"], last=0.2012), "new": metric("NaN"),
                 "accuracy": replace(run.metrics["accuracy"], count=9)},
        environment=replace(run.environment, python="3.11.9", packages={"scikit-learn": "1.5.2", "scipy": "1.14.0"}),
        hardware=replace(run.hardware, cores=2),
    )  # fmt: skip
    verdict = judge(then, now, Rules(tolerance={"val_*": Tolerance(rel=0.01)}))
    assert verdict_page(verdict).render(100, False) == DIFFERENT


def test_a_command_that_failed_is_named_first_and_its_output_at_a_terminal() -> None:
    then = replace(sample_run(), artifacts=(), metrics={})
    failed = replace(then, status="failed", exit_code=255)
    one = verdict_page(judge(then, failed, Rules()), "9dm1c0vw5t2ha7xs")
    assert (
        one.render(80, False)
        .splitlines()[0]
        .startswith("✗ different: the command failed with exit 255; the original finished.")
    )
    both = verdict_page(judge(failed, failed, Rules())).render(80, False)
    assert both.startswith("? nothing to compare: both failed with exit 255.")
    back = verdict_page(judge(failed, then, Rules())).render(80, False)
    assert back.startswith("✗ different: the command finished; the original failed with exit 255.")


def test_an_identical_result_is_one_line() -> None:
    page = verdict_page(judge(sample_run(), sample_run(), Rules())).render(80, False)
    assert page == "✓ identical: 2 artifacts byte for byte, 2 metrics exact.  (compared with 3kq8f2zx)\n"


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (could_not_run("3kq8f2zxm1n4p7rt", "environment", "No wheel was found."),
         "✗ could not run: it stopped at environment: No wheel was found."),
        (Verdict("could not run", "3kq8f2zxm1n4p7rt"), "✗ could not run: it stopped."),
        (Verdict("nothing to compare", "3kq8f2zxm1n4p7rt"),
         "? nothing to compare: neither run has artifacts or metrics to compare."),
        (Verdict("different", "3kq8f2zxm1n4p7rt"), "✗ different: the command ended differently."),
    ],
)  # fmt: skip
def test_verdicts_without_items_say_why(verdict: Verdict, line: str) -> None:
    assert verdict_page(verdict).render(None, False) == f"{line}  (compared with 3kq8f2zx)\n"


def test_what_an_installer_said_stands_below_the_cause_line_by_line() -> None:
    cause = "uv could not install it:\n  x No solution found\n\n  because numpy==9 is nowhere\nSee its words."
    verdict = could_not_run("3kq8f2zxm1n4p7rt", "environment", cause)
    page = verdict_page(verdict).render(None, False).splitlines()
    assert page == [
        "✗ could not run: it stopped at environment: uv could not install it:  (compared with 3kq8f2zx)",
        "      x No solution found",
        "      because numpy==9 is nowhere",
        "    See its words.",
    ]
    shown = verdict_page(verdict).render(80, False)
    assert "mltrack push --wheels 3kq8f2zx" in shown and "mltrack env check 3kq8f2zx" in shown and "\\n" not in shown
    assert few_words(verdict) == "uv could not install it:"


def test_success_is_green_and_failure_is_not() -> None:
    colours = {grade: verdict_page(Verdict(grade, "3kq8f2zxm1n4p7rt")).render(80, True)[:5] for grade in GRADES}
    assert [grade for grade in GRADES if colours[grade] == "\x1b[32m"] == list(GRADES[:4])
    assert colours["nothing to compare"] == "\x1b[33m"


def test_recorded_text_in_a_verdict_is_cleaned() -> None:
    page = verdict_page(could_not_run("3kq8f2zxm1n4p7rt", "code", "bad \x1b[2J name")).render(80, True)
    assert "bad \\x1b[2J name" in page


NOISE = Calibration(
    "c", "x", "nothing", tuple("abcdefghij"), (7,) * 10, "here", "", 0.95, 0.95,
    metrics={"val_loss": Spread((0.2, 0.21), 0.2, 0.01, 0.15, 0.25)},
)  # fmt: skip


def moved(now: float, **changes: object) -> tuple[Run, Run]:
    run = sample_run(metrics={"val_loss": metric(0.2), "accuracy": metric(0.9)})
    return run, replace(run, id="9dm1c0vw5t2ha7xs", metrics={**run.metrics, "val_loss": metric(now)}, **changes)


def test_the_first_sentence_says_what_moved_how_far_and_what_was_not_the_same() -> None:
    run, now = moved(0.2006)
    hardware = replace(run.hardware, cores=2)
    packages = {**run.environment.packages, "numpy": "2.2.0"}
    now = replace(now, hardware=hardware, environment=replace(run.environment, packages=packages))
    said = reason(judge(run, now, Rules(), calibration=NOISE))
    assert said == (
        "2 artifacts byte for byte; 1 of 2 metrics exact; val_loss moved by +0.3 %, inside the noise of 10 repetitions."
        " What was not the same: numpy 2.1.0 → 2.2.0, cores 8 → 2."
    )
    assert "outside the noise of 10 repetitions" in reason(judge(*moved(0.3), Rules(), calibration=NOISE))
    page = verdict_page(judge(*moved(0.3), Rules(), calibration=NOISE)).render(None, False)
    assert "0.2 ± 0.05" in page


def test_the_page_says_what_to_do_next() -> None:
    page = verdict_page(judge(*moved(0.3), Rules()), "9dm1c0vw5t2ha7xs").render(90, False)
    assert "mltrack diff 3kq8f2zx 9dm1c0vw" in page
    assert "mltrack calibrate 3kq8f2zx -n 10" in page
    assert "verdict: {tolerance: {val_loss: {rel: 0.01}}}" in page
    calibrated = verdict_page(judge(*moved(0.3), Rules(), calibration=NOISE), "9dm1c0vw5t2ha7xs").render(90, False)
    assert "mltrack calibrate" not in calibrated
    same = verdict_page(judge(*moved(0.2), Rules()), "9dm1c0vw5t2ha7xs").render(90, False)
    assert len(same.splitlines()) == 1
    nothing = verdict_page(Verdict("nothing to compare", "3kq8f2zxm1n4p7rt"), "9dm1c0vw5t2ha7xs").render(90, False)
    assert "mltrack run --output PATH" in nothing


def test_a_reason_is_never_shortened_and_neither_is_a_grade() -> None:
    why = "3 of 120 values differ, most of all at row 3, column loss by 0.25; no further than 10 repetitions"
    item = ArtifactVerdict("outputs/predictions/test.csv", "within tolerance", why)
    verdict = Verdict(
        "within tolerance",
        "3kq8f2zxm1n4p7rt",
        (item,),
        judge(*moved(0.2001), Rules({"val_loss": Tolerance(1)})).metrics,
    )
    for width in (60, 80):
        lines = verdict_page(verdict).render(width, False).splitlines()
        at = next(place for place, line in enumerate(lines) if line.startswith("  outputs/"))
        below = [line for line in lines[at + 1 :] if line.startswith("    ")]
        assert " ".join(line.strip() for line in below).startswith(why)
        assert all(len(line) <= width for line in below)
        assert "within tolerance" in lines[at]
        assert any("val_loss" in line and "within tolerance" in line for line in lines)
    listed = replace(sample_run(), verdict=verdict, parent=Parent("rerun", "3kq8f2zxm1n4p7rt"))
    assert "✓ within tolerance" in verdicts_page([listed], 0.0).render(60, False)


def test_a_duration_in_a_file_comes_with_the_rule_that_leaves_it_out() -> None:
    def hints(where: str) -> str:
        item = ArtifactVerdict("log.csv", "different", "1 cell differs", Measure(2, 1, 0.5, 0.1, where))
        return verdict_page(Verdict("different", "3kq8f2zxm1n4p7rt", (item,))).render(100, False)

    assert 'verdict: {ignore: ["log.csv#seconds"]}' in hints("row 3, column seconds")
    assert 'verdict: {ignore: ["log.csv#duration_s"]}' in hints("fit.duration_s")
    assert "ignore" not in hints("row 3, column loss")


def test_the_files_of_a_directory_count_as_the_directory() -> None:
    items = tuple(ArtifactVerdict(path, grade) for path, grade in (
        ("out", "equivalent"), ("out/a.log", "equivalent"), ("out/b.log", "equivalent"), ("m.bin", "identical"),
    ))  # fmt: skip
    assert reason(Verdict("equivalent", "x", items)) == "1 of 2 artifacts byte for byte, 1 equivalent."
    assert few_words(Verdict("equivalent", "x", items)) == "out"


def test_a_list_of_verdicts_has_one_line_each() -> None:
    run, now = moved(0.2006)
    judged = replace(now, parent=Parent("rerun", run.id), verdict=judge(run, now, Rules()))
    page = verdicts_page([judged], parse_time("2026-11-21T02:02:03Z")).render(None, False).splitlines()
    assert page[1].split() == ["9dm1c0vw", "rerun", "3kq8f2zx", "✗", "different", "59", "min", "val_loss", "+0.3", "%"]
    assert "No verdicts yet" in verdicts_page([run]).render(None, False)
