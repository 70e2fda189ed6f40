"""Metrics in the output of a command: patterns, progress bars, guesses, what is left alone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.collect.output import LONGEST, OutputPoints, points_in_output
from mltrack.errors import UsageError
from mltrack.live.outputlog import LogLine

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
Found = list[tuple[str, float, Any]]


def records(*lines: str) -> list[LogLine]:
    return [LogLine(float(place), "o", line.encode(), True) for place, line in enumerate(lines)]


def found(patterns: Sequence[str], *lines: str) -> Found:
    return found_in(patterns, records(*lines))


def found_in(patterns: Sequence[str], given: Sequence[LogLine]) -> Found:
    return [(point.name, point.value, point.step) for point in points_in_output(given, patterns, 1000.0)]


@pytest.mark.parametrize(
    ("pattern", "line", "points"),
    [
        ("{name}: {value}", "val_loss: 0.25  acc: 1e-3", [("val_loss", 0.25, None), ("acc", 0.001, None)]),
        ("step {step} loss={value}", "step 7 loss=-1.5", [("value", -1.5, 7)]),
        ("[{step}] {name} = {value}", "[3] a.b/c = .5", [("a.b/c", 0.5, 3)]),
        ("{name}: {value}", "nothing to see", []),
        ("loss {train} {val}", "loss   0.1\t0.2", [("train", 0.1, None), ("val", 0.2, None)]),
        ("loss {train}", "train_loss 0.1", []),
        ("Loss: {loss}", "LOSS: 2", [("loss", 2.0, None)]),
        ("epoch {step}/10 {name}={value}", "epoch 4/10 acc=1", [("acc", 1.0, 4)]),
        ("{{loss: {loss}}}", "{loss: 2}", []),
        ("'loss': {loss}}", "{'loss': 2}", [("loss", 2.0, None)]),
    ],
)
def test_a_pattern_finds_points_in_output(pattern: str, line: str, points: Found) -> None:
    assert found([pattern], line) == points


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", 1234.5),
        ("1_000_000", 1e6),
        ("93.5%", 93.5),
        ("12.5k", 12500.0),
        ("3M", 3e6),
        ("3MB", 3.0),
        ("50ms", 50.0),
        ("50m", 50.0),
        ("1e-3", 0.001),
        ("5.", 5.0),
        ("-inf", -math.inf),
        ("Infinity", math.inf),
        ("+.5", 0.5),
        ("1.2.3", None),
        ("12:30:01", None),
        ("2024-01-02", None),
        ("3/10", None),
        ("12ab3f", None),
        ("nancy", None),
        ("infra", None),
        ("7abcdefghijkl", None),
    ],
)
def test_numbers_are_read_as_people_print_them(text: str, value: float | None) -> None:
    assert found(["{name}: {value}"], f"it: {text} and more") == ([] if value is None else [("it", value, None)])


def test_nan_is_a_value() -> None:
    ((name, value, _),) = found(["{name}: {value}"], "loss: nan")
    assert name == "loss" and math.isnan(value)


def test_a_pattern_with_only_a_step_tells_the_step_of_its_line_and_of_those_after_it() -> None:
    lines = ("loss=9", "acc=1 epoch 1 loss=2", "loss=3", "epoch 2", "loss=4")
    assert found(["{name}={value}", "epoch {step}"], *lines) == [
        ("loss", 9.0, None),
        ("acc", 1.0, 1),
        ("loss", 2.0, 1),
        ("loss", 3.0, 1),
        ("loss", 4.0, 2),
    ]


def test_points_have_the_time_of_their_line() -> None:
    times = [point.at for point in points_in_output(records("a: 1", "", "a: 2"), ["{name}: {value}"], 1000.0)]
    assert times == [1000.0, 1002.0]


def test_every_state_of_a_progress_bar_counts_and_a_state_drawn_again_does_not() -> None:
    bar = [b"\r", b"1/3 loss=0.5\r", b"1/3 loss=0.5\r", b"2/3 loss=0.5\r", b"3/3 loss=0.3\r"]
    given = [*(LogLine(1.0, "e", state, False) for state in bar), LogLine(2.0, "e", b"3/3 loss=0.3", True)]
    given += [LogLine(3.0, "e", b"1/3 loss=0.3", True)]
    assert found_in(["{step}/3 loss={loss}"], given) == [
        ("loss", 0.5, 1),
        ("loss", 0.5, 2),
        ("loss", 0.3, 3),
        ("loss", 0.3, 1),
    ]


def test_backspaces_draw_over_a_line_too() -> None:
    assert found(["loss={loss}"], "loss=1\b\b\b\b\b\bloss=2\b\b\b\b\b\bloss=2") == [
        ("loss", 1.0, None),
        ("loss", 2.0, None),
    ]


def test_a_line_in_pieces_is_one_line_and_streams_are_apart() -> None:
    given = [
        LogLine(0.0, "o", b"loss: 0.1", False),
        LogLine(0.5, "e", b"acc: 1", False),
        LogLine(1.0, "o", b"2", True),
        LogLine(1.5, "e", b"3", True),
        LogLine(2.0, "o", b"end: 7", False),
    ]
    assert found_in(["{name}: {value}"], given) == [("loss", 0.12, None), ("acc", 13.0, None), ("end", 7.0, None)]


def test_escape_sequences_are_no_part_of_a_line() -> None:
    line = "\x1b[1mloss\x1b[0m: \x1b[38;5;9m0.5\x1b[K\x1b[0m \x1b]8;;http://example.org\x07acc: 1\x1b]8;;\x1b\\"
    assert found(["{name}: {value}"], line) == [("loss", 0.5, None), ("acc", 1.0, None)]


def test_bytes_that_are_no_text_and_endless_lines_do_no_harm() -> None:
    given = [LogLine(0.0, "o", b"\xff\xfe loss: 1 \x00", True), LogLine(0.0, "o", b"x" * 300_000 + b" loss: 2", True)]
    given += [LogLine(0.0, "o", b"y" * 60_000, False)] * 50 + [LogLine(0.0, "o", b" loss: 3", True)]
    finder = OutputPoints(["{name}: {value}"], 0.0)
    assert [point.value for matched in finder.take(given) for point in matched.points] == [1.0]
    assert len(finder.state()["rest"].get("o", "")) <= LONGEST


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("loss", "no field"),
        ("", "no field"),
        ("{name}: ", "without {value}"),
        ("{value} {value}", "{value} twice"),
        ("{loss} {loss}", "{loss} twice"),
        (" ".join(f"{{f{place}}}" for place in range(20)), "more than"),
        ("x" * 2000 + "{value}", "longer than"),
    ],
)
def test_a_pattern_that_is_none_says_why(pattern: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        OutputPoints([pattern], 0.0)
    assert what in caught.value.message and "auto" in (caught.value.hint or "")


GUESSES: list[tuple[list[str], Found]] = [
    (
        ["iter 10: loss 3.2094, time 50.10ms, mfu 3.21%", "step 0: train loss 4.28, val loss 4.27"],
        [("loss", 3.2094, 10), ("time", 50.1, 10), ("mfu", 3.21, 10), ("train_loss", 4.28, 0), ("val_loss", 4.27, 0)],
    ),
    (
        ["[10]\ttrain-rmse:0.33\teval-rmse:0.44", "[11]\tvalid_1's l2: 0.4"],
        [("train-rmse", 0.33, 10), ("eval-rmse", 0.44, 10), ("valid_1's_l2", 0.4, 11)],
    ),
    (
        ["Epoch 3/10", "63/63 ━━━ 1s 5ms/step - accuracy: 0.91 - loss: 0.29", "Total time: 33"],
        [("accuracy", 0.91, 3), ("loss", 0.29, 3)],
    ),
    (
        ["Epoch 3:  45%|████▌| 45/100 [00:03<00:04, 12.10it/s, v_num=0, train_loss=0.123]"],
        [("v_num", 0.0, 3), ("train_loss", 0.123, 3)],
    ),
    (
        ["{'loss': 0.5, 'lr': 5e-05, 'epoch': 0.5}", "{'eval_loss': np.float64(0.3), 'epoch': 1.0}"],
        [("loss", 0.5, 0.5), ("lr", 5e-05, 0.5), ("eval_loss", 0.3, 1)],
    ),
    (["2024-01-02 12:00:01 INFO trainer: step 3 loss: 0.2"], [("loss", 0.2, 3)]),
    (["Iteration 5, loss = 0.34", "epoch 0 done acc=0.5"], [("loss", 0.34, 5), ("acc", 0.5, 0)]),
    (["Epoch [3/10], Step [100/600], Loss: 0.22"], [("Loss", 0.22, 100)]),
    (["Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.31"], [("Loss", 2.31, 1)]),
    (["Epoch 3 train loss = 0.3 val loss = 0.2"], [("train_loss", 0.3, 3), ("val_loss", 0.2, 3)]),
    (
        ["10:\tlearn: 0.33\tbest: 0.44 (9)\ttotal: 55ms\tremaining: 1.2s"],
        [("learn", 0.33, 10), ("best", 0.44, 10), ("total", 55.0, 10), ("remaining", 1.2, 10)],
    ),
    (
        ["epoch 1", "loss: 0.5 acc: 0.3", "val_loss: 0.4", "Epoch 2:", "loss: 0.4, time: 3.1s"],
        [("loss", 0.5, 1), ("acc", 0.3, 1), ("val_loss", 0.4, 1), ("loss", 0.4, 2), ("time", 3.1, 2)],
    ),
    (["epoch 1", "saved: 3", "the best loss so far was: 0.5", "took 3 tries: 0.2 each", "a: 1 b: 2 done"], []),
    (["loss: 0.5 acc: 0.3"], []),
    (["loading 3 files", "size: 12", "http://example.org:80/x=1", "Python 3.11", "seed=1 lr=0.1"], []),
]


@pytest.mark.parametrize(("lines", "points"), GUESSES, ids=[lines[0][:25] for lines, _ in GUESSES])
def test_auto_reads_what_common_trainers_print(lines: list[str], points: Found) -> None:
    assert found(["auto"], *lines) == points


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("oe"), st.binary(max_size=40), st.booleans()), max_size=30), st.data())
def test_a_log_read_in_parts_gives_what_it_gives_whole(
    parts: list[tuple[str, bytes, bool]], data: st.DataObject
) -> None:
    patterns = ["{name}={value}", "epoch {step}", "auto"]
    words = [b"epoch 3 ", b"a=1", b"loss: 2\r", b"\r", b"0"]
    given = [
        LogLine(0.0, stream, data.draw(st.sampled_from(words)) + text.replace(b"\n", b""), ends)
        for stream, text, ends in parts
    ]
    whole = list(OutputPoints(patterns, 0.0).take(given))
    cut = data.draw(st.integers(0, len(given)))
    first = OutputPoints(patterns, 0.0)
    before = list(first.take(given[:cut]))
    state = json.loads(json.dumps(first.state()))
    after = list(OutputPoints(patterns, 0.0, state).take(given[cut:]))
    assert repr(before + after) == repr(whole)


@settings(max_examples=200 * SOAK, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_no_pattern_and_no_line_breaks_it(pattern: str, line: str) -> None:
    try:
        list(points_in_output(records(line, f"step 3 {line} x: 1k"), [pattern, "auto", "{name} {value}"], 0.0))
    except UsageError as error:
        assert "pattern" in error.message
