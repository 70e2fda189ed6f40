"""What of a text may differ, and what must not."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Finding, Side, Unreadable
from mltrack.compare.comparators import text as text_files
from mltrack.compare.comparators.text import shown
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents

A_YEAR = 1763740000.0, 1796000000.0
"""Runs that took from November 2025 to December 2026: what of a text they let differ is not a matter of when."""
PLACES = Around(
    Side(("/srv/a", "/home/me"), ("alpha",), *A_YEAR, None, ("project", "home")),
    Side(("/ws/x y", "/root"), ("beta",), *A_YEAR, None, ("project", "home")),
)
BEGAN = 1763740353.0
DAY = 86400.0
TIMED = Around(
    Side(began=BEGAN, ended=BEGAN + 60, zone="America/New_York"),
    Side(began=BEGAN + DAY, ended=BEGAN + DAY + 60, zone="Asia/Kathmandu"),
)
"""The zones are then five hours behind universal time, and five and three quarters before it."""
NOWHERE = Around()


def compare(a: str, b: str, around: Around = PLACES) -> Finding:
    return compare_contents("a.log", Held(a.encode()), Held(b.encode()), around)


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        ("2026-11-21 10:30:00,123 INFO x", "2026-11-22 10:31:00,124 INFO x", "times"),
        ("[2026-11-21T10:30:00.123456+01:00] x", "[2026-11-22T09:30:00Z] x", "times"),
        ("2026/11/21 10:30:00 INFO mlflow", "2026/11/22 10:30:09 INFO mlflow", "times"),
        ("2026-11-21 10:30:00.123456: I tensorflow/core", "2026-11-22 10:30:09.5: I tensorflow/core", "times"),
        ("I1121 15:52:33.123456 12345 a.py:3] x", "I1122 15:52:34.123456 999 a.py:3] x", "times"),
        ("Sat Nov 21 15:52:33 UTC 2026", "Sun Nov  1 15:52:33 CET 2026", "times"),
        ("Date: Sat, 21 Nov 2026 15:52:33 +0000", "Date: Sun, 22 Nov 2026 15:52:33 GMT", "times"),
        ('"GET / [21/Nov/2026:15:52:33 +0000]"', '"GET / [22/Nov/2026:15:52:33 +0000]"', "times"),
        ("runs/Nov21_10-30-00_x/log", "runs/Nov22_10-30-00_x/log", "times"),
        ("outputs/2026-11-21/10-30-00/x", "outputs/2026-11-22/10-30-01/x", "times"),
        ("model_20261121_103000.pt", "model_20261122_103001.pt", "times"),
        ("[10:30:00] WARNING: src/learner.cc", "[10:31:00] WARNING: src/learner.cc", "times"),
        ("created: 1763740353.5 x", "created: 1763740999 x", "times"),
        ('{"timestamp": 1763740353123}', '{"timestamp": 1763740999123}', "times"),
        ("saved /srv/a/out/m.bin ok", "saved /ws/x y/out/m.bin ok", "paths"),
        ("at /srv/a.", "at /ws/x y.", None),
        ("cwd: /srv/a", "cwd: /ws/x y", "paths"),
        ("file:///srv/a/out", "file:///ws/x y/out", "paths"),
        ("/home/me/.cache/x", "/root/.cache/x", "paths"),
        ("/srv/a/outputs/2026-11-21/10-30-00/x", "/ws/x y/outputs/2026-11-22/10-30-01/x", "paths"),
        ("/tmp/tmpabcd1234/x", "/tmp/tmp99cd1234/x", "temporary directories"),
        ("/tmp/ipykernel_12/345.py:1: W", "/tmp/ipykernel_9/345.py:1: W", "temporary directories"),
        ("on alpha", "on beta", "host names"),
        ("http://alpha:8080/x", "http://beta:8080/x", "host names"),
        ("(pid 12) x", "(pid 123456) x", "process ids"),
        ("(train pid=4711) x", "(train pid=12) x", "process ids"),
        ("Nov 21 10:30:00 h sshd[123]: x", "Nov  2 11:30:00 h sshd[999]: x", "process ids and times"),
        ("[<Line2D at 0x7f8a12345678>]", "[<Line2D at 0x7f8a12345679>]", "memory addresses"),
    ],
)  # fmt: skip
def test_what_may_differ_is_told_by_its_kind(a: str, b: str, kinds: str | None) -> None:
    found = compare(f"same\n{a}\n", f"same\n{b}\n")
    if kinds is None:  # a full stop is part of a path, as far as anybody can tell
        assert found.grade == DIFFERENT
    else:
        assert found == Finding(EQUIVALENT, f"only {kinds} differ, in 1 line")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("loss 0.1", "loss 0.2"),
        ("epoch 3 took 3.2 s", "epoch 3 took 3.3 s"),
        ("Elapsed: 00:03:12", "Elapsed: 00:03:13"),
        ("10%|# | 1/10 [00:03<00:10, 3.00it/s]", "10%|# | 1/10 [00:04<00:10, 3.00it/s]"),
        ("[0:00:03 < 0:00:10] x", "[0:00:04 < 0:00:10] x"),
        ("run 8f14e45f", "run c9f0f895"),
        ("count: 1763740353", "count: 1763740999"),
        ("n_1763740353", "n_1763740999"),
        ("load /data/v1/t.csv", "load /data/v2/t.csv"),
        ("load /srv/a/v1/t.csv", "load /ws/x y/v2/t.csv"),
        ("load /srv/a/t.csv", "load /root/sub/t.csv"),
        ("saved /old/out/m.bin", "saved /ws/x y/out/m.bin"),
        ("load /srv/ab/t.csv", "load /ws/x yb/t.csv"),
        ("/tmp/data1/x", "/tmp/data2/x"),
        ("/tmp/tmpabcd1234/x", "/tmp/tmp99cd1234/y"),
        ("on gamma", "on delta"),
        ("alphabet", "betabet"),
        ("on beta", "on alpha"),
        ("version 2024.07.04", "version 2025.01.31"),
        ("sample 20190312", "sample 20190313"),
        ("2026-11-21 10:30:00,5,7", "2026-11-21 10:30:00,6,7"),
        ("2026-11-21 10:30:00,512", "2026-11-21 10:30:00,513"),
        ("2026-11-21 10:30:00 START", "2026-11-21 10:30:00 AUDIT"),
        ("2026-11-21 123456 rows", "2026-11-22 123457 rows"),
        ("2026-11-21 10:30:00", "20261121_103000"),
        ("pids 12", "pids 13"),
        ("model[3]: 0.5", "model[4]: 0.5"),
        ("array at 0x10", "array at 0x11"),
        ("<a at 0x7f8a12345678>", "<b at 0x7f8a12345678>"),
        ("a", "a "),
        ("time 0.5", "time 0.6"),
        ("ratio 16:9:10", "ratio 16:9:11"),
        ("2026-13-41", "2026-13-42"),
        ("http://x/srv/a/t", "http://x/ws/x y/t"),
    ],
)
def test_what_must_not_differ_counts(a: str, b: str) -> None:
    assert compare(f"same\n{a}\n", f"same\n{b}\n").grade == DIFFERENT


def test_only_roots_of_one_kind_stand_for_each_other() -> None:
    kinds = "environment", "project", "home"
    around = Around(
        Side(("/home/me/p/.venv", "/home/me/p", "/home/me"), kinds=kinds),
        Side(("/root/p/env", "/root/p", "/root"), kinds=kinds),
    )
    assert compare("/home/me/p/x /home/me/x", "/root/p/x /root/x", around).grade == EQUIVALENT
    assert compare("/home/me/p/.venv/x", "/root/p/env/x", around).grade == EQUIVALENT
    assert compare("/home/me/p/x", "/root/x", around).grade == DIFFERENT
    assert compare("/home/me/x", "/root/p/x", around).grade == DIFFERENT
    assert compare("/home/me/p/.venv/x", "/root/p/.venv/x", around).grade == DIFFERENT
    without = Around(around.then, Side(("/root/p", "/root"), kinds=kinds[1:]))
    assert compare("/home/me/p/.venv/x", "/root/p/.venv/x", without).grade == EQUIVALENT


def test_the_known_roots_of_one_side_tell_those_of_the_other() -> None:
    half = Around(Side(), Side(("/ws", "/root")))
    twice = "/old/a/x\n/old/b/x\n"
    assert compare(twice, twice.replace("/old", "/ws"), half).grade == EQUIVALENT
    assert compare("/old/x\n/older/x\n", "/ws/x\n/ws/x\n", half).grade == DIFFERENT
    assert compare("/old/x\n/old/y\n", "/ws/x\n/root/y\n", half).grade == DIFFERENT
    assert compare("/old/v1/x\n", "/ws/v2/x\n", half).grade == DIFFERENT


def test_without_known_roots_one_pair_is_concluded_from_what_follows() -> None:
    assert compare("/old/place/out/m.bin", "/new/spot/out/m.bin", NOWHERE).grade == EQUIVALENT
    assert compare("/old/place/out/m.bin", "/new/spot/out/n.bin", NOWHERE).grade == DIFFERENT
    assert compare("/data/v1/train.csv", "/data/v2/train.csv", NOWHERE).grade == DIFFERENT


FORMS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+00:00", "%Y%m%d_%H%M%S",
    "%Y%m%d-%H%M%S", "%Y%m%dT%H%M%SZ", "%Y-%m-%d_%H-%M-%S", "%Y-%m-%d/%H-%M-%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H.%M.%S",
    "%Y-%m-%d@%H:%M:%S", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S UTC %Y", "%a, %d %b %Y %H:%M:%S +0000",
    "%Y-%m-%d %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%y %H:%M", "%A, %B %d, %Y at %H:%M:%S", "%B %d, %Y %I:%M %p", "%d %B %Y",
    "INFO:%H:%M:%S: x", "[%I:%M:%S %p] x", "%Y-%m-%d", "%a, %d %b %Y %H:%M:%S GMT", "%d/%b/%Y:%H:%M:%S +0000", "%b%d_%H-%M-%S_host", "%b %d %H:%M:%S host",
)  # fmt: skip


def at(seconds: float, form: str, hours: float = 0) -> str:
    return datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours))).strftime(form)


@pytest.mark.parametrize("form", FORMS)
def test_a_time_outside_of_its_run_is_data(form: str) -> None:
    within = at(BEGAN + 5, form), at(BEGAN + DAY + 50, form)
    later = 4 * DAY + 7 * 3600
    assert within[0] == within[1] or compare(*within, TIMED).grade == EQUIVALENT
    assert compare(within[0], at(BEGAN + later, form), TIMED).grade == DIFFERENT
    assert compare(at(BEGAN - later, form), within[1], TIMED).grade == DIFFERENT
    assert compare(f"see {within[0]}", f"see {at(BEGAN + later, form)}", NOWHERE).grade == DIFFERENT


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S x", "[%H:%M:%S] x", "%b %d %H:%M:%S x"])
def test_all_times_without_a_zone_are_of_one_zone(form: str) -> None:
    """Of universal time or of the run's own, and of no other."""
    now = BEGAN + DAY
    zones = {hours: at(BEGAN + 5, form, hours) for hours in (0, -5, -6, 3)}
    news = {hours: at(now + 50, form, hours) for hours in (0, 5.75, 5.5)}
    good = {
        (one, other) for one in zones for other in news if compare(zones[one], news[other], TIMED).grade == EQUIVALENT
    }
    assert good == {(0, 0), (0, 5.75), (-5, 0), (-5, 5.75)}
    mixed = "\n".join((zones[0], zones[-5]))
    assert compare(mixed, "\n".join((news[0], news[0])), TIMED).grade == DIFFERENT


def test_times_that_a_run_cannot_have_had_are_data() -> None:
    """Schedules and predictions move: tomorrow, the next full hour, the beginning of a shift."""
    for ahead in (3600, 6 * 3600, DAY):
        then, now = (at(began + ahead, "%Y-%m-%d %H:%M:%S") for began in (BEGAN, BEGAN + DAY))
        for name, text in (("a.csv", "due\n%s\n"), ("a.json", '{"due": "%s"}'), ("a.log", "due %s\n")):
            a, b = (Held((text % each).encode()) for each in (then, now))
            assert compare_contents(name, a, b, TIMED).grade == DIFFERENT
    assert compare(at(BEGAN + DAY, "%Y-%m-%d"), at(BEGAN + 2 * DAY, "%Y-%m-%d"), TIMED).grade == DIFFERENT


def test_where_nobody_knows_when_a_run_was_only_a_line_of_a_log_begins_with_its_time() -> None:
    for line in (
        "2026-11-2%d 10:30:00 x",
        "[2026-11-2%d 10:30:00] x",
        "INFO: 2026-11-2%d 10:30:00 x",
        "I112%d 10:30:00.5 1 x",
    ):
        assert compare(line % 1, line % 2, NOWHERE).grade == EQUIVALENT
    for line in ("due 2026-11-2%d 10:30:00", "time=176374035%d", "/a/b/2026-11-2%d/m.bin"):
        assert compare(line % 1, line % 2, NOWHERE).grade == DIFFERENT
    for name, text in (
        ("a.csv", "due\n2026-11-2%d\n"),
        ("a.json", '["2026-11-2%d"]'),
        ("a.csv", "time\n176374035%d\n"),
    ):
        a, b = (Held((text % day).encode()) for day in (1, 2))
        assert compare_contents(name, a, b, NOWHERE).grade == DIFFERENT


def test_seconds_since_1970_must_lie_in_the_run() -> None:
    assert compare(f"time={BEGAN + 5}", f"time={BEGAN + DAY + 5}", TIMED).grade == EQUIVALENT
    assert compare(f"time={BEGAN + 5}", f"time={BEGAN + 5000}", TIMED).grade == DIFFERENT


def test_the_first_line_that_differs_is_shown_and_harmless() -> None:
    found = compare("a\nb\nc\n", "a\n\x1b[31mB\x07" + "x" * 200 + "\nC\n")
    assert found.reason.startswith('2 of 3 lines differ, first line 2: "b" then, "\\x1b[31mB\\x07xxx')
    assert found.reason.endswith('..." now')
    assert shown("é 🚀 \u202e") == '"é 🚀 \\u202e"'


def test_reasons_tell_order_ends_and_counts_of_lines() -> None:
    assert compare("a\nb\nc\n", "b\na\nc\n").reason == "the same lines in another order, from line 1 on"
    assert "line ends" in compare("a\nb\n", "a\r\nb\r\n").reason
    assert "line ends" in compare("a\nb\n", "a\nb").reason
    assert compare("a\nb\n", "a\nc\nb\n").reason == '2 lines then, 3 now; they part in line 2: "b" then, "c" now'
    assert "verdict.ignore" in compare("took 3.2 s\n", "took 3.4 s\n").reason
    assert "verdict.ignore" not in compare("loss 3.2\n", "loss 3.4\n").reason


def test_what_is_no_text_is_refused() -> None:
    for data in (b"a\xff\n", b"a\0\n", b"a\xe2\x82"):
        with pytest.raises(Unreadable, match=r"no .*text"):
            text_files.compare(Held(b"a\n"), Held(data), NOWHERE)


def test_a_very_long_line_must_be_equal() -> None:
    line = "2026-11-21 10:30:00 " + "x" * (1 << 20)
    assert compare(line, line.replace("21", "22")).grade == DIFFERENT


words = st.sampled_from([
    "loss", "0.25", "1e-3", "[3]", "/data/x", "2026", "12:30", "pid", "time", "took", "a=b", "α", "3.2s", "#1", "v1.2.3", "10/20",
])  # fmt: skip


@settings(max_examples=60 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
@given(st.lists(words, min_size=1, max_size=8), st.integers(0, 7), words)
def test_another_word_in_a_line_is_a_difference(line: list[str], place: int, word: str) -> None:
    changed = list(line)
    changed[place % len(line)] = word
    expected = EQUIVALENT if changed == line else DIFFERENT
    begin = "2026-11-21 10:30:00 ", "2026-11-22 11:30:00 "
    assert compare(begin[0] + " ".join(line), begin[1] + " ".join(changed)).grade == expected
