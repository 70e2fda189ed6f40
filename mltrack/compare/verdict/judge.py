"""A run and its repetition -> a graded verdict with its reasons. Pure.

The worst item gives the grade; what is an item stands in `outputs.py` and `metric_verdicts.py`. Noise excuses a
difference that a calibration of the run (nothing varied) leads one to expect, and only where the recorded value too
lies where the repetitions lie:

- a metric outside of its tolerance: the recorded and the new value both lie in the calibration's interval;
- a file with numbers: it is no further from the recorded one than the calibration's bound for its differences;
- a file whose bytes differed in every repetition, and that cannot be measured: it says nothing. It is an item of
  `nothing to compare`, with which the whole is at best `within noise`.
"""

from __future__ import annotations

from dataclasses import replace

from mltrack.compare.noise.intervals import FEW, best, holds
from mltrack.compare.seeds import seeds_of
from mltrack.compare.verdict.conditions import conditions
from mltrack.compare.verdict.grades import COULD_NOT_RUN, DIFFERENT, worst
from mltrack.compare.verdict.metrics import judge_metrics
from mltrack.compare.verdict.outputs import NOTHING_KNOWN, Bench, Evidence, judge_outputs
from mltrack.compare.verdict.rules import Rules
from mltrack.records import Run
from mltrack.verdicts import Calibration, Condition, Verdict

SAME_SEED, OTHER_SEED = "nothing", "seed"
"""What a calibration varied."""

OUTCOME = ("status", "exit_code", "signal")
"""Conditions that say how a command ended: items of the verdict, not circumstances."""


def could_not_run(of: str, phase: str, cause: str) -> Verdict:
    """The verdict on a reproduction of the run `of` that stopped in `phase` because of `cause`."""
    return Verdict(grade=COULD_NOT_RUN, of=of, phase=phase, cause=cause)


def judge(
    then: Run, now: Run, rules: Rules, evidence: Evidence = NOTHING_KNOWN, calibration: Calibration | None = None
) -> Verdict:
    """Is the result of `now` that of `then`?"""
    bench = Bench(then, now, rules, evidence, calibration)
    metrics = judge_metrics(bench)
    artifacts = judge_outputs(replace(bench, metrics=tuple(metrics)))
    outcome = outcome_conditions(then, now)
    grades = [item.grade for item in artifacts] + [item.grade for item in metrics] + [DIFFERENT for _ in outcome]
    return Verdict(
        grade=worst(grades),
        of=then.id,
        artifacts=tuple(artifacts),
        metrics=tuple(metrics),
        conditions=tuple(outcome + conditions(then, now)),
        cause=failure(then, now),
        calibration=calibration.id if calibration else None,
        repetitions=len(calibration.runs) if calibration else None,
        remarks=tuple(outside_of_own_noise(then, calibration)),
    )


def calibration_for(then: Run, now: Run, repeated: Run | None = None) -> Calibration | None:
    """The calibration that tells the noise between two runs: the best one of the earlier run, else of the run that it
    repeats, with nothing varied. One that varied the seed excuses nothing between two runs with the same seed."""
    vary = SAME_SEED if seeds_of(then) == seeds_of(now) else OTHER_SEED
    return best(then.calibrations, vary) or (best(repeated.calibrations, vary) if repeated is not None else None)


def outside_of_own_noise(then: Run, calibration: Calibration | None) -> list[str]:
    """What the calibration says of the recorded run itself, if that is not what its repetitions gave; and of itself, if
    it has too few of them."""
    if calibration is None:
        return []
    many = len(calibration.runs)
    few = f"The noise was measured with {many} repetitions only, which excuse nearly everything; ten are a good number."
    return ([few] if many < FEW else []) + [
        f"The recorded {name} {then.metrics[name].last} lies outside of what its {many} repetitions gave."
        for name, spread in sorted(calibration.metrics.items())
        if name in then.metrics and spread.low is not None and not holds(spread, then.metrics[name].last)
    ]


def failure(then: Run, now: Run) -> str | None:
    """What comes before all comparisons: that a command failed. None if neither did, or nobody knows."""
    if then.status in ("lost", "running"):
        return None
    before, after = ending(then), ending(now)
    if after is None:
        return f"the command finished; the original {before}." if before else None
    if before is None:
        return f"the command {after}; the original finished."
    return f"both {after}." if before == after else f"the command {after}; the original {before}."


def ending(run: Run) -> str | None:
    """`failed with exit 1`; None of a run that finished well."""
    if run.status == "finished":
        return None
    if run.status == "interrupted":
        return "was interrupted"
    if run.signal is not None:
        return f"was ended by signal {run.signal}"
    return f"{run.status} with exit {run.exit_code}" if run.exit_code is not None else f"was {run.status}"


def outcome_conditions(then: Run, now: Run) -> list[Condition]:
    """How it ended, if that differs; how a run ended whose supervisor was lost is not known."""
    if then.status in ("lost", "running"):
        return []
    pairs = ((name, getattr(then, name), getattr(now, name)) for name in OUTCOME)
    return [Condition(name, before, after) for name, before, after in pairs if before != after]
