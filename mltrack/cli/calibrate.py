"""`mltrack calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.again import absolute
from mltrack.cli.options import Into, Json, Ref
from mltrack.cli.start import say, working_directory
from mltrack.views.console import show, show_json

if TYPE_CHECKING:
    from mltrack.operations.repeating.calibrate import Calibrated

INTERRUPTED = 130


def calibrate(
    ref: Ref,
    repetitions: Annotated[int, typer.Option("-n", metavar="N", help="How many repetitions.")] = 10,
    vary: Annotated[
        str, typer.Option("--vary", metavar="nothing|seed", help="What is another one in each repetition.")
    ] = "nothing",
    url: Annotated[str | None, typer.Option("--from", metavar="URL", help="The remote that has the run.")] = None,
    into: Into = None,
    as_json: Json = False,
) -> int:
    """Repeat a run several times in one workspace, and measure its noise.

    Says whether the experiment is deterministic here, and between which bounds another repetition's metrics lie.
    Verdicts and `diff` use it. Exits 0, or 1 if fewer than two repetitions ended as the run did.
    """
    from mltrack.operations.repeating.calibrate import CalibrateRequest
    from mltrack.operations.repeating.calibrate import calibrate as calibrate_run

    place = into and absolute(into)
    done = calibrate_run(CalibrateRequest(ref, working_directory(), repetitions, vary, url, place, say))
    if as_json:
        from mltrack.noun_json import to_dict

        failed = [run.id for run in done.failed]
        facts = {"run": done.then.id, "failed": failed, "interrupted": done.is_interrupted}
        show_json({**facts, "calibration": to_dict(done.calibration) if done.calibration else None})
    else:
        tell(done, repetitions)
    if done.is_interrupted:
        return INTERRUPTED
    return 0 if done.calibration else 1


def tell(done: Calibrated, asked: int) -> None:
    """The report; what went otherwise than asked on stderr."""
    if done.calibration is not None:
        from mltrack.views.calibration import calibration_page

        show(calibration_page(done.calibration, done.then))
    kept = len(done.calibration.runs) if done.calibration else 0
    if done.is_interrupted:
        what = (
            f"what {kept} of {asked} repetitions gave is kept" if kept else "two repetitions are needed to say anything"
        )
        say(f"interrupted: {what}")
    if done.failed:
        say(f"{len(done.failed)} of {len(done.failed) + kept} repetitions ended otherwise than the recorded run")
    if done.calibration is None and not done.is_interrupted:
        say("fewer than two repetitions ended as the recorded run did: nothing is known of its noise")
