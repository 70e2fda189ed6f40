"""A live run on a screen that is drawn again each second, or for a pipe in one line for each change.

The only place that imports rich's live display. Whatever happens, the terminal is left as it was found.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mltrack.digest import plain
from mltrack.views.console import PLAIN_GLYPHS, has_colour, is_terminal, speaks_unicode
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.ranks import others_row
from mltrack.views.text import clean, command_line, count, duration, number, scalar, shorten, size
from mltrack.views.verdict import heads

if TYPE_CHECKING:
    from mltrack.live.outputlog import LogLine
    from mltrack.operations.watch import MetricNow, Scene

EVERY_S = 1.0
"""Seconds between two looks."""
BARS = "▁▂▃▄▅▆▇█"
WIDEST_TRAIL = 40
LEAST_OUTPUT = 4
"""Lines that the output has in any case."""

Look = Callable[[], "Scene | None"]


def follow(look: Look, as_json: bool = False) -> bool:
    """Show a run until it ends (True) or the person leaves with `q` (False)."""
    if as_json or not is_terminal(sys.stdout):
        return tell(look, as_json)
    return draw(look)


def tell(look: Look, as_json: bool) -> bool:
    """One line for each change."""
    import json

    before = None
    while (scene := look()) is not None:
        if scene.is_behind:
            continue
        now = [(metric.name, metric.summary.count) for metric in scene.metrics]
        if now != before or (as_json and before is None):
            sys.stdout.write((json.dumps(scene_json(scene)) if as_json else scene_line(scene)) + "\n")
            sys.stdout.flush()
        before = now
        time.sleep(EVERY_S)
    return True


def draw(look: Look) -> bool:
    """The whole screen, drawn again and again."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stdout, no_color=not has_colour(sys.stdout), highlight=False, markup=False)
    with terminated_cleanly(), keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while (scene := look()) is not None:
            text = frame(scene, console.width, console.height, has_colour(sys.stdout))
            if not speaks_unicode(sys.stdout):
                text = text.translate(PLAIN_GLYPHS).encode("ascii", "replace").decode()
            live.update(Text.from_ansi(text, no_wrap=True, end=""), refresh=True)
            if pressed(0 if scene.is_behind else EVERY_S) in ("q", "Q", "\x1b"):
                return False
    return True


@contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """A function that waits for a key for some seconds, and gives it or an empty text."""
    if not is_terminal(sys.stdin):

        def sleep(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield sleep
        return
    import os
    import select
    import termios
    import tty

    fd = sys.stdin.fileno()

    def wait(seconds: float) -> str:
        ready, _, _ = select.select([fd], [], [], seconds)
        if not ready:
            return ""
        data = os.read(fd, 64)
        if not data:
            time.sleep(seconds)  # the terminal has gone
        return data.decode("ascii", "replace") if len(data) == 1 else ""

    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield wait
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def terminated_cleanly() -> Iterator[None]:
    """A polite signal ends us as an exception does, which puts the terminal back."""
    import signal

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = {name: signal.signal(name, leave) for name in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def frame(scene: Scene, width: int, height: int, colour: bool) -> str:
    """A screen of `height` lines of `width` cells at most."""
    page = Page()
    title(page, scene, width)
    room = height - 6 - LEAST_OUTPUT
    metrics(page, scene.metrics, room, width)
    resources(page, scene, width)
    found(page, scene)
    lines = page.render(width, colour).split("\n")[:-1]
    left = height - len(lines) - 2
    if left > 1:
        said = Page()
        said.heading("Output")
        for text in output_lines(scene.output)[-(left - 2) or None :] if left > 2 else ():
            said.line("  ", shorten(clean(text), max(8, width - 2)))
        lines += said.render(width, colour).split("\n")[:-1]
    lines = lines[: max(1, height - 1)]
    lines += [""] * (height - 1 - len(lines))
    last = Page()
    last.line(("q leaves; the run goes on", "dim"))
    return "\n".join([*lines, last.render(width, colour).rstrip("\n")])


def title(page: Page, scene: Scene, width: int) -> None:
    run = scene.run
    name: tuple[Cell, ...] = ((shorten(clean(run.name), 30), "bold"), "  ") if run.name else ()
    since = f"  running for {duration(scene.elapsed_s)}" if scene.elapsed_s is not None else "  starting"
    page.line(("● ", "cyan"), *name, (run.id, "yellow"), since, pace(scene))
    page.line(("  $ ", "dim"), (shorten(command_line(run.command), max(8, width - 4)), "bold"))


def pace(scene: Scene) -> str:
    """`, step 120, 3.2 steps/s`: of the metric that counts the most points."""
    counted = [metric for metric in scene.metrics if metric.summary.last_step is not None]
    if not counted:
        return ""
    metric = max(counted, key=lambda metric: metric.summary.count)
    rate = f", {number(float(f'{metric.rate:.3g}'))} steps/s" if metric.rate else ""
    return f", step {scalar(metric.summary.last_step)}{rate}"


def metrics(page: Page, found: Sequence[MetricNow], room: int, width: int) -> None:
    """As many metrics as there is room for, each with its trail."""
    if not found or room < 3:
        return
    shown = found if len(found) <= room - 2 else found[: max(1, room - 3)]
    page.blank()
    trail = min(WIDEST_TRAIL, width - 50) if width >= 60 else 0
    rows: list[tuple[Cell, ...]] = []
    for metric in shown:
        row = (
            metric.name,
            (number(metric.summary.last), "cyan"),
            number(metric.summary.min),
            number(metric.summary.max),
            f"{metric.summary.count:,}",
            (sparkline(metric.trail, trail), "cyan"),
        )
        rows += [row, (*others_row(metric.others), "")] if metric.others else [row]
    page.grid(Grid(rows, "<>>>><", heads("", "last", "min", "max", "points", "")))
    if len(shown) < len(found):
        page.line((f"  ... and {len(found) - len(shown):,} more", "dim"))


def resources(page: Page, scene: Scene, width: int) -> None:
    """`CPU 180 % ▂▃▅   memory 1.2 GiB   GPU 0 93 %, 10 GiB`, from the last sample."""
    parts = resource_words(scene)
    if parts:
        page.blank()
        page.line("  ", shorten("   ".join(parts), max(8, width - 2)))


def resource_words(scene: Scene) -> list[str]:
    known = {name: trail[-1] for name, trail in scene.resources.items() if trail}
    words = []
    if "cpu_percent" in known:
        words.append(f"CPU {known['cpu_percent']:.0f} % {sparkline(scene.resources['cpu_percent'][-60:], 12)}")
    if "memory_bytes" in known:
        words.append(
            f"memory {size(int(known['memory_bytes']))} {sparkline(scene.resources['memory_bytes'][-60:], 12)}"
        )
    if known.get("processes", 0) > 1:
        words.append(count(int(known["processes"]), "process", "processes"))
    index = 0
    while f"gpu{index}.percent" in known or f"gpu{index}.memory_bytes" in known:
        percent, memory = known.get(f"gpu{index}.percent"), known.get(f"gpu{index}.memory_bytes")
        facts = ["" if percent is None else f"{percent:.0f} %", "" if memory is None else size(int(memory))]
        words.append(f"GPU {index} {', '.join(fact for fact in facts if fact)}")
        index += 1
    return words


def found(page: Page, scene: Scene) -> None:
    """What the run has read so far."""
    inputs = scene.run.inputs
    if inputs:
        known = sum(item.size_bytes or 0 for item in inputs)
        page.line("  ", f"{count(len(inputs), 'input')}, {size(known)}")


def output_lines(records: Sequence[LogLine]) -> list[str]:
    """The last lines of the output as text, without escape sequences."""
    from mltrack.collect.output import plain_text

    lines: list[str] = []
    is_open: dict[str, int] = {}
    for record in records:
        text = plain_text(record.data)
        place = is_open.pop(record.stream, None)
        if place is None:
            lines.append(text)
            place = len(lines) - 1
        else:
            lines[place] += text
        if not record.ends:
            is_open[record.stream] = place
    return lines


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as bars, of which each stands for the mean of its share; what is not finite is a blank."""
    if not values or width < 1:
        return ""
    width = min(width, len(values))
    shares = [values[place * len(values) // width : (place + 1) * len(values) // width] for place in range(width)]
    means = [mean([value for value in share if math.isfinite(value)]) for share in shares]
    known = [value for value in means if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high / 2 - low / 2  # halves first: the difference of two finite numbers may overflow
    return "".join(
        " " if value is None else BARS[round((value / 2 - low / 2) / span * (len(BARS) - 1)) if span else 0]
        for value in means
    )


def mean(values: Sequence[float]) -> float | None:
    return sum(value / len(values) for value in values) if values else None


def scene_line(scene: Scene) -> str:
    """`1 min 20 s, step 120, 3.2 steps/s  loss 0.25  acc 0.9  CPU 180 %`."""
    parts = [f"{duration(scene.elapsed_s)}{pace(scene)}"]
    parts += [f"{clean(metric.name)} {number(metric.summary.last)}" for metric in scene.metrics]
    known = {name: trail[-1] for name, trail in scene.resources.items() if trail}
    parts += [f"CPU {known['cpu_percent']:.0f} %"] if "cpu_percent" in known else []
    parts += [f"memory {size(int(known['memory_bytes']))}"] if "memory_bytes" in known else []
    return "  ".join(parts)


def scene_json(scene: Scene) -> dict[str, Any]:
    """The same for `--json`: one object a line."""
    from mltrack.noun_json import to_dict

    value = {
        "id": scene.run.id,
        "elapsed_s": scene.elapsed_s,
        "metrics": {metric.name: {**to_dict(metric.summary), "rate": metric.rate} for metric in scene.metrics},
        "resources": {name: trail[-1] for name, trail in scene.resources.items() if trail},
        "inputs": len(scene.run.inputs),
    }
    return dict(plain(value))
