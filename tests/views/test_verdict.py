from __future__ import annotations

from dataclasses import replace

import pytest

from mltrack.compare.verdict import GRADES, Rules, could_not_run, judge
from mltrack.config import Tolerance
from mltrack.verdicts import Verdict
from mltrack.views.verdict import verdict_page
from tests.compare.samples import artifact, metric, sample_run

DIFFERENT = """\
✗ different: the command failed with exit 1; the original finished. Compared all the same: 3 artifacts different, 1 artifact byte for byte, 2 metrics different, 1 metric within tolerance, 1 metric exact.  (compared with 3kq8f2zx)

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
        metrics={"val_loss": metric(0.2012, 10), "new": metric("NaN"),
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


def test_success_is_green_and_failure_is_not() -> None:
    colours = {grade: verdict_page(Verdict(grade, "3kq8f2zxm1n4p7rt")).render(80, True)[:5] for grade in GRADES}
    assert [grade for grade in GRADES if colours[grade] == "\x1b[32m"] == list(GRADES[:4])
    assert colours["nothing to compare"] == "\x1b[33m"


def test_recorded_text_in_a_verdict_is_cleaned() -> None:
    page = verdict_page(could_not_run("3kq8f2zxm1n4p7rt", "code", "bad \x1b[2J name")).render(80, True)
    assert "bad \\x1b[2J name" in page
