"""What an artifact's contents in a run and its repetitions come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding
from mltrack.compare.noise.intervals import explains, is_steady, says_nothing
from mltrack.compare.verdict.rules import Rules
from mltrack.operations.judging.contents import Held, compared, hold
from mltrack.project import Project
from mltrack.records import Artifact, Run
from mltrack.store.keep import keep_path
from mltrack.verdicts import Looks, Measure, Variation
from tests.compare.samples import sample_run
from tests.helpers import git_repository, write

THEN = sample_run()


def number_files(then: Run, now: Run, a: Artifact, b: Artifact) -> Finding:
    """A comparator of "files" whose digest is `number:stamp`; a stamp is what the format lets differ, `?` unreadable."""
    if "?" in a.digest + b.digest:
        return Finding(DIFFERENT, "different bytes")
    first, second = (float(one.digest.partition(":")[0]) for one in (a, b))
    if first == second:
        return Finding(EQUIVALENT, "only its stamp differs")
    relative = abs(second - first) / abs(first) if first else "Infinity"
    return Finding(DIFFERENT, "a number differs", Measure(1, 1, abs(second - first), relative))


def held(recorded: str | None, *repetitions: str | None) -> Held:
    items = [None if one is None else Artifact("x", "file", one, 1) for one in (recorded, *repetitions)]
    return compared([(THEN, item) for item in items], number_files)


def variation(recorded: str | None, *repetitions: str | None, is_text: bool = False) -> Variation:
    return replace(held(recorded, *repetitions), looks=Looks(9, 9, "80", is_text)).variation(0.95)


def test_the_same_content_every_time_is_steady() -> None:
    found = variation("1", "1", "1", "1")
    assert (found.contents, found.as_recorded, found.largest, found.allowed) == (1, 3, 0, 0)
    assert is_steady(found, 3) and not explains(found, Measure(1, 1, 1e-9, 1e-9))


def test_what_a_format_lets_differ_is_the_same_content() -> None:
    found = variation("1:a", "1:b", "1:c", "1:d")
    assert (found.contents, found.as_recorded) == (1, 3)
    mixed = variation("1:a", "2:b", "2:c", "3:d")
    assert (mixed.contents, mixed.as_recorded) == (2, 0)


def test_steady_but_not_as_recorded_excuses_nothing() -> None:
    found = variation("1", "2", "2", "2", "2")
    assert is_steady(found, 4) and found.as_recorded == 0
    assert found.allowed is None and not explains(found, Measure(1, 1, 1.0, 1.0))


def test_noise_around_the_recorded_numbers_excuses_as_much_again() -> None:
    found = variation("1.00", "1.01", "0.99", "1.02", "0.985")
    assert found.contents == 4 and found.largest == pytest.approx(0.02)
    assert found.allowed is not None and 0.02 < found.allowed < 0.06
    assert explains(found, Measure(1, 1, 0.02, 0.02)) and not explains(found, Measure(1, 1, 0.1, 0.1))


def test_a_recorded_artifact_far_from_its_repetitions_excuses_nothing() -> None:
    """They agree with each other, and not with what was recorded: another run like them is no confirmation of it."""
    found = variation("1.00", "2.01", "1.99", "2.02", "1.985")
    assert found.largest == pytest.approx(1.02) and found.allowed is None
    assert not explains(found, Measure(1, 1, 1.0, 1.0)) and not says_nothing(found, 4)


def test_a_recorded_zero_is_bounded_by_the_absolute_difference_alone() -> None:
    found = variation("0", "0.01", "-0.01", "0.02", "-0.005")
    assert found.allowed is not None and found.allowed_relative is None and found.largest_relative is None
    assert explains(found, Measure(1, 1, 0.01, "Infinity"))


def test_bytes_that_nobody_can_read_say_nothing_only_if_all_differ() -> None:
    assert says_nothing(variation("?0", "?1", "?2", "?3"), 3)
    assert not says_nothing(variation("?0", "?1", "?2", "?3", is_text=True), 3)
    assert not says_nothing(held("?0", "?1", "?2", "?3").variation(0.95), 3), "nobody knows how it looked"
    assert not says_nothing(variation("?0", "?1", "?1", "?3"), 3)
    assert not says_nothing(variation("?0", "?0", "?1", "?2"), 3)
    assert not says_nothing(variation(None, "?1", "?2", None), 3)
    some = variation("1", "1.1", "?2", "1.2")
    assert some.largest is None and some.allowed is None, "one that cannot be measured leaves no bound"


def test_a_difference_that_is_no_finite_number_is_no_measure() -> None:
    """Else the calibration could not be read back."""
    for odd in ("inf", "nan"):
        found = variation("1", "1.1", odd, "1.2", "1.3")
        assert (found.largest, found.allowed) == (None, None)


def test_two_repetitions_bound_nothing() -> None:
    assert variation("1", "1.1", "1.2").allowed is None


def test_an_artifact_that_is_not_always_made_is_counted_as_such() -> None:
    found = variation("1", "1", None, "2")
    assert (found.contents, found.as_recorded, found.missing) == (2, 1, 1)
    assert not is_steady(found, 3)
    assert is_steady(variation("1", None, None), 2)


def test_each_pair_is_compared_once() -> None:
    asked: list[tuple[str, str]] = []

    def counting(then: Run, now: Run, a: Artifact, b: Artifact) -> Finding:
        asked.append((a.digest, b.digest))
        return number_files(then, now, a, b)

    compared([(THEN, Artifact("x", "file", one, 1)) for one in ("1", "2", "3", "4")], counting)
    assert len(asked) == len(set(asked)) == 6


def test_directories_are_looked_at_file_by_file_and_moved_ones_under_their_recorded_names(tmp_path: Path) -> None:
    with Project.open(git_repository(tmp_path / "p", {"x": ""})) as project:
        runs = []
        for number, stamp in enumerate(("2026-11-20", "2026-11-20", "2026-11-21")):
            top = tmp_path / str(number) / "out"
            write(top, {f"{stamp}/same.txt": "same", f"{stamp}/noisy.bin": str(number), "ignored.txt": str(number)})
            kept = keep_path(top, project.store)
            artifact = Artifact("out", "directory", str(kept.digest), 9, 3)
            started = f"{stamp}T10:00:00.000000Z"
            runs.append(
                Run(
                    1,
                    str(number),
                    None,
                    None,
                    "finished",
                    ("x",),
                    ".",
                    started_at=started,
                    duration_s=1.0,
                    artifacts=(artifact,),
                )
            )
        found = hold(project, runs, Rules(ignore=("*ignored.txt",)), lambda *_: Finding(DIFFERENT, "bytes"))
    assert sorted(found) == ["out/2026-11-20/noisy.bin", "out/2026-11-20/same.txt"]
    assert len(set(found["out/2026-11-20/noisy.bin"].tokens)) == 3
    assert len(set(found["out/2026-11-20/same.txt"].tokens)) == 1
    assert found["out/2026-11-20/noisy.bin"].looks == Looks(1, 1, "", True)
