"""The noise of a run, told to a person: deterministic or not, what went apart first, each metric's interval, advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mltrack.compare.changes import metric_number
from mltrack.compare.noise.intervals import FEW, LEAST_SILENT, holds, is_constant, is_steady, numbers_of, says_nothing
from mltrack.records import Run
from mltrack.verdicts import Calibration, Divergence, Spread, Variation
from mltrack.views.page import Cell, Grid, Item, Page
from mltrack.views.text import clock_time, count, number, percent, short_digest, short_id
from mltrack.views.verdict import heads

MOST = 30
"""A terminal shows at most this many metrics or artifacts."""

PLOT = 41
"""Cells of a dot plot."""

MOST_SEEDS = 6


def calibration_page(calibration: Calibration, run: Run) -> Page:
    """The whole report on a calibration of a run, and what to do next."""
    page = Page()
    noise_section(page, calibration, run)
    steps = list(advice(calibration, run))
    if steps:
        page.heading("What may make it steadier")
        for step in steps:
            page.add([Item(("·", "dim"), step)])
    page.hint("")
    page.hint(("judge a repetition by it again  ", "dim"), ("mltrack verdict RUN", "cyan"))
    return page


def noise_section(page: Page, calibration: Calibration, run: Run) -> None:
    """What `show` tells of a run's noise too."""
    page.line(*headline(calibration))
    many = len(calibration.runs)
    for one in calibration.first if calibration.vary == "nothing" else ():  # other seeds go apart at once
        page.add([Item(("·", "dim"), apart(one, run.id))])
    for sentence in remarks(calibration, run):
        page.add([Item(("!", "yellow"), sentence, "yellow")])
    metrics = sorted(calibration.metrics.items(), key=lambda item: is_constant(item[1]))
    if metrics:
        page.heading("Noise of its metrics", f"{calibration.content:.1%} with confidence {calibration.confidence:.0%}")
        header = heads("", "recorded", "mean", "sd", "from", "to", "")
        rows = [metric_row(name, spread, run) for name, spread in metrics]
        page.grid(Grid(rows, "<>>>>><", header, limit=MOST))
    noisy = [(name, spread) for name, spread in metrics if spread.low is not None and not is_constant(spread)]
    if noisy:
        page.blank()
        rows = [(name, plot(spread, recorded(run, name))) for name, spread in noisy]
        page.grid(Grid(rows, "<<", limit=MOST))
    artifacts = {path: one for path, one in calibration.artifacts.items() if not is_steady(one, many)}
    if artifacts:
        same = len(calibration.artifacts) - len(artifacts)
        page.heading("Artifacts that varied", f"{same:,} more did not" if same else "")
        rows = [(path, variation_text(one, many)) for path, one in artifacts.items()]
        page.grid(Grid(rows, "<<", limit=MOST))


def headline(calibration: Calibration) -> tuple[Cell, ...]:
    """`✓ deterministic here: 10 repetitions gave the same, and what was recorded.`"""
    many = count(len(calibration.runs), "repetition")
    where = f" on {calibration.host}" if calibration.host else ""
    aside = (f"  ({clock_time(calibration.at)}{where})", "dim")
    if calibration.vary == "seed":
        return ("● ", "cyan"), (f"{many} with other seeds", "bold"), f" ({seeds(calibration.seeds)})", aside
    if not calibration.deterministic:
        return (
            ("● ", "yellow"),
            ("not deterministic here", "bold yellow"),
            f": {many} with nothing varied differ",
            aside,
        )
    if calibration.as_recorded:
        told = f": {many} gave the same, and what was recorded"
        return ("✓ ", "green"), ("deterministic here", "bold green"), told, aside
    told = f": {many} gave the same, which is not what was recorded"
    return ("✗ ", "red"), ("deterministic here", "bold red"), told, aside


def seeds(values: Sequence[int | None]) -> str:
    known = [str(value) for value in values if value is not None]
    return ", ".join(known[:MOST_SEEDS]) + (f" ... {known[-1]}" if len(known) > MOST_SEEDS else "")


def apart(one: Divergence, recorded_id: str) -> str:
    """`loss first went apart at step 3: 0.25 against 0.26 (runs 3kq8f2zx and 9dm1c0vw)`."""
    first, second = (*one.runs, "", "")[:2]
    names = "the recorded run" if first == recorded_id else f"run {short_id(first)}"
    runs = f"({names} and run {short_id(second)})"
    if one.kind == "artifact":
        return f"first artifact that differs: {one.what}, {content(one.then)} against {content(one.now)} {runs}"
    step = "at its first point" if one.step is None else f"at step {number(one.step)}"
    return f"{one.what} first went apart {step}: {value(one.then)} against {value(one.now)} {runs}"


def content(token: Any) -> str:
    return "nothing" if token is None else short_digest(str(token))


def value(point: Any) -> str:
    return "nothing" if point is None else exact(point)


def exact(point: Any) -> str:
    """A number with all its digits: the first difference is often in the last."""
    return repr(point) if isinstance(point, float) else str(point)


def remarks(calibration: Calibration, run: Run) -> Iterator[str]:
    """What must not be overlooked."""
    many = len(calibration.runs)
    for name, spread in calibration.metrics.items():
        then = recorded(run, name)
        if calibration.vary == "nothing" and then is not None and spread.low is not None and not holds(spread, then):
            yield f"The recorded {name} {number(then)} lies outside of what its {many} repetitions gave."
    if many < FEW and any(not is_constant(spread) for spread in calibration.metrics.values()):
        yield f"With {many} repetitions an interval is so wide that it excuses nearly everything; try `-n 10`."
    for name, spread in calibration.metrics.items():
        if spread.missing:
            yield f"{name} was not logged by {count(spread.missing, 'repetition')}."
        if len(numbers_of(spread.values)) < len(spread.values) and not is_constant(spread):
            yield f"{name} was not a finite number in every repetition: it has no interval."


def recorded(run: Run, name: str) -> float | str | None:
    return run.metrics[name].last if name in run.metrics else None


def metric_row(name: str, spread: Spread, run: Run) -> tuple[Cell, ...]:
    then = recorded(run, name)
    told = "" if then is None else number(then)
    if spread.low is None or spread.high is None:
        text = number(spread.values[0]) if spread.values and is_constant(spread) else ""
        return name, told, "", "", text, text, ("always" if text else "no interval", "dim")
    if is_constant(spread):
        return name, told, number(spread.mean), "0", number(spread.low), number(spread.high), ("always", "dim")
    low, high = number(spread.low), number(spread.high)
    return name, told, number(spread.mean), number(spread.deviation), low, high, share_text(spread)


def share_text(spread: Spread) -> Cell:
    """`±1.2 %`: half the interval, of the mean."""
    if not spread.mean or spread.low is None or spread.high is None:
        return ""
    return f"± {percent((spread.high - spread.low) / 2 / abs(spread.mean) * 100).lstrip('+')}", "dim"


def plot(spread: Spread, then: float | str | None) -> str:
    """The values and the recorded one, as a cross, between the ends of the interval (`[ ]`)."""
    assert spread.low is not None and spread.high is not None, "a metric without an interval is not drawn"
    values = numbers_of(spread.values)
    mark = metric_number(then) if then is not None else None
    marks = [] if mark is None or not numbers_of([mark]) else [float(mark)]
    low, high = min(spread.low, *values, *marks), max(spread.high, *values, *marks)
    cells = ["─"] * PLOT

    def put(at: float, sign: str) -> None:
        cells[round((at / 2 - low / 2) / (high / 2 - low / 2) * (PLOT - 1)) if high > low else 0] = sign

    put(spread.low, "[")
    put(spread.high, "]")
    for at in values:
        put(at, "●")
    for at in marks:
        put(at, "×")
    return "".join(cells)


def variation_text(one: Variation, many: int) -> str:
    """`10 contents in 10 repetitions; numbers up to 0.3 % from the recorded, up to 0.5 % is noise`."""
    if one.missing == many:
        return "no repetition made it"
    parts = [f"{count(one.contents, 'content')} in {count(many - one.missing, 'repetition')}"]
    if one.as_recorded:
        parts.append(f"{one.as_recorded} as recorded")
    if one.missing:
        parts.append(f"{one.missing} without it")
    if one.allowed is not None:
        parts.append(f"numbers up to {number(one.largest)} from the recorded ones, {number(one.allowed)} is noise")
    elif one.largest is not None:
        parts.append(f"numbers up to {number(one.largest)} from the recorded ones, further than from each other")
    elif says_nothing(one, many):
        parts.append("its bytes say nothing")
    elif many < LEAST_SILENT:
        parts.append("too few to say that its bytes mean nothing")
    return ", ".join(parts)


def advice(calibration: Calibration, run: Run) -> Iterator[str]:
    """What is not set of all that makes programs deterministic; nothing for a run that is."""
    if calibration.vary != "nothing" or calibration.deterministic:
        return
    variables, libraries = run.environment.variables, run.environment.libraries
    if run.seed is None and not any("seed" in name.lower() or "random_state" in name for name in run.params):
        yield "No seed is set: give one with `mltrack run --seed N`, and seed the program from $MLTRACK_SEED."
    if run.seed is None and run.environment.python and "PYTHONHASHSEED" not in variables:
        yield "PYTHONHASHSEED is not set: sets of texts come in another order each time."
    if (run.hardware.cores or 1) > 1 and "OMP_NUM_THREADS" not in variables:
        yield "OMP_NUM_THREADS is not set: sums by several threads may come in another order; try 1."
    if run.hardware.gpus and "CUBLAS_WORKSPACE_CONFIG" not in variables:
        yield "CUBLAS_WORKSPACE_CONFIG is not set: with CUDA set it to :4096:8."
    if libraries.get("torch.deterministic") in ("False", "off", "warn"):
        yield "PyTorch's deterministic algorithms are off: torch.use_deterministic_algorithms(True)."
    if libraries.get("tensorflow.deterministic") == "False":
        yield "TensorFlow's deterministic operations are off: tf.config.experimental.enable_op_determinism()."
