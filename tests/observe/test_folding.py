from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.observe import Event
from mltrack.observe.folding import MOST_GONE, Fold, normal

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def folded(*events: tuple[str, ...]) -> Fold:
    fold = Fold()
    for number, (letter, path, *other) in enumerate(events, 1):
        fold.take(Event(letter, 1, number, path, *other))
    return fold


def test_a_file_read_first_is_an_input_and_one_written_first_is_not() -> None:
    seen = folded(("r", "/a"), ("w", "/a"), ("w", "/b"), ("r", "/b")).seen()
    assert (seen["/a"].is_read_first, seen["/a"].writes) == (True, True)
    assert (seen["/b"].is_read_first, seen["/b"].reads) == (False, True)


def test_a_file_opened_to_be_changed_counted_before() -> None:
    seen = folded(("u", "/log")).seen()["/log"]
    assert (seen.is_read_first, seen.updates, seen.writes, seen.reads) == (True, True, True, False)
    assert not folded(("w", "/log"), ("u", "/log")).seen()["/log"].is_read_first


def test_removed_and_written_again_it_is_there() -> None:
    assert folded(("w", "/a"), ("d", "/a")).seen()["/a"].is_removed
    again = folded(("r", "/a"), ("d", "/a"), ("w", "/a")).seen()["/a"]
    assert not again.is_removed and again.is_read_first


def test_a_temporary_file_that_takes_another_name_is_that_ones_content() -> None:
    seen = folded(("w", "/m.tmp"), ("m", "/m.tmp", "/m"), ("r", "/m")).seen()
    assert seen["/m.tmp"].is_removed
    assert (seen["/m"].writes, seen["/m"].is_read_first, seen["/m"].is_removed) == (True, False, False)


def test_a_file_that_was_there_and_is_renamed_was_needed() -> None:
    fold = folded(("m", "/raw", "/done"))
    seen = fold.seen()
    assert (seen["/raw"].is_read_first, seen["/raw"].is_removed) == (True, True)
    assert (seen["/done"].writes, seen["/done"].is_read_first) == (True, False)
    assert fold.moved == {"/raw": "/done"}


def test_renaming_a_directory_moves_all_that_is_known_below_it() -> None:
    fold = folded(("w", "/tmp1/a"), ("w", "/tmp1/b/c"), ("r", "/tmp1/old"), ("m", "/tmp1", "/final"), ("w", "/tmp1/a"))
    seen = fold.seen()
    assert seen["/final/a"].writes and seen["/final/b/c"].writes and seen["/final/old"].writes
    assert seen["/tmp1/b/c"].is_removed and not seen["/tmp1/a"].is_removed
    assert seen["/tmp1/old"].is_read_first
    assert fold.written_trees == {"/final"}


def test_what_was_removed_before_its_directory_moved_is_not_at_the_new_place() -> None:
    seen = folded(("w", "/d/a"), ("d", "/d/a"), ("w", "/d/b"), ("m", "/d", "/e")).seen()
    assert "/e/a" not in seen and seen["/e/b"].writes


def test_removing_a_directory_removes_what_is_below_it() -> None:
    assert folded(("w", "/d/a/b"), ("d", "/d")).seen()["/d/a/b"].is_removed


def test_the_first_copy_of_what_was_there_counts_and_none_after_a_write() -> None:
    assert folded(("b", "/a", "1-1"), ("u", "/a"), ("b", "/a", "2-1")).seen()["/a"].before == "1-1"
    assert folded(("w", "/a"), ("b", "/a", "2-1")).seen()["/a"].before is None


def test_processes_programs_and_what_could_not_be_watched_are_known() -> None:
    fold = Fold()
    fold.take(Event("p", 1, 1, "/bin/sh"))
    fold.take(Event("p", 2, 2, "/usr/bin/python3"))
    fold.take(Event("h", 2, 3, "/usr/bin/python3"))
    fold.take(Event("x", 1, 4, "/opt/static", "static"))
    fold.take(Event("n", 2, 5, "https://example.org/x"))
    assert fold.processes == {1: {"p"}, 2: {"p", "h"}}
    assert list(fold.programs) == ["/bin/sh", "/usr/bin/python3"]
    assert [event.path for event in fold.unwatched] == ["/opt/static"]
    assert list(fold.network) == ["https://example.org/x"]


def test_paths_are_made_normal() -> None:
    assert normal("/a/./b//c/../d/") == "/a/b/d"
    assert normal("//a") == "/a"
    assert normal("/") == "/"
    assert list(folded(("r", "/a/../b")).seen()) == ["/b"]


NAMES = [f"/{top}/{name}" for top in ("d", "e") for name in ("x", "y", "z")]
operations = st.lists(st.tuples(st.sampled_from("rwudmD"), st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=40)


@settings(max_examples=300 * SOAK, deadline=None)
@given(operations, st.sets(st.sampled_from(NAMES)))
def test_the_fold_agrees_with_a_model_of_a_disk(steps: Sequence[tuple[str, str, str]], there: set[str]) -> None:
    """The model: each file holds the name of the original that it came from, or None where the run made it."""
    disk: dict[str, str | None] = {name: name for name in there}
    needed: set[str] = set()
    events = []
    for kind, path, other in steps:
        if kind == "r" and path in disk:
            needed.add(disk[path] or "")
            events.append(("r", path))
        elif kind == "w":
            disk[path] = None
            events.append(("w", path))
        elif kind == "u" and path in disk:
            needed.add(disk[path] or "")
            disk[path] = None
            events.append(("u", path))
        elif kind == "d" and path in disk:
            del disk[path]
            events.append(("d", path))
        elif kind == "m" and path in disk and path != other:
            needed.add(disk[path] or "")
            disk[other] = None
            del disk[path]
            events.append(("m", path, other))
        elif kind == "D" and any(name.startswith("/d/") for name in disk) and path.startswith("/d"):
            if any(name.startswith("/e/") for name in disk):
                continue
            touched = {event[1] for event in events} | {event[2] for event in events if len(event) > 2}
            if not {name for name in disk if name.startswith("/d/")} <= touched:
                continue  # of files that nobody touched, only the disk knows
            for name in [name for name in disk if name.startswith("/d/")]:
                needed.discard("")
                disk["/e/" + name[3:]] = None
                del disk[name]
            events.append(("m", "/d", "/e"))
    seen = folded(*events).seen()
    assert {path for path, one in seen.items() if one.is_read_first} == needed - {""}
    for path, origin in disk.items():
        assert path not in seen or not seen[path].is_removed
        assert origin is not None or (path in seen and seen[path].writes)
    for path, one in seen.items():
        assert path in disk or one.is_removed or path not in NAMES


@settings(max_examples=60 * SOAK, deadline=None)
@given(operations)
def test_asking_in_between_changes_nothing(steps: Sequence[tuple[str, str, str]]) -> None:
    whole, asked = Fold(), Fold()
    for number, (kind, path, other) in enumerate(steps):
        event = Event(kind.lower(), 1, number, path, other if kind == "m" else "")
        whole.take(event)
        asked.take(event)
        asked.seen()
    assert whole.seen() == asked.seen()


def test_what_is_read_in_a_directory_that_the_run_made_was_not_there_before() -> None:
    seen = folded(("k", "/d"), ("r", "/d/e/x"), ("r", "/other")).seen()
    assert seen["/d/e/x"].reads and not seen["/d/e/x"].is_read_first
    assert seen["/other"].is_read_first


def test_behind_a_link_or_a_renamed_directory_in_one_that_it_made_things_were_there_before() -> None:
    events = (("k", "/d"), ("l", "/d/link"), ("r", "/d/link/x"), ("m", "/data", "/d/data"), ("r", "/d/data/y"))
    seen = folded(*events).seen()
    assert seen["/d/link/x"].is_read_first and seen["/d/data/y"].is_read_first


def test_a_made_directory_that_takes_another_name_stays_made() -> None:
    seen = folded(("k", "/t"), ("m", "/t", "/final"), ("r", "/final/x"), ("r", "/t/y")).seen()
    assert not seen["/final/x"].is_read_first and seen["/t/y"].is_read_first


def test_a_directory_that_is_removed_was_never_read() -> None:
    seen = folded(("r", "/d"), ("d", "/d", "/")).seen()["/d"]
    assert (seen.reads, seen.is_read_first, seen.is_removed) == (False, False, True)


def test_a_million_temporary_files_are_not_remembered_but_stay_the_runs_own() -> None:
    fold = Fold()
    for number in range(MOST_GONE + 500):
        fold.take(Event("w", 1, number, f"/t/{number}"))
        fold.take(Event("d", 1, number, f"/t/{number}"))
        fold.take(Event("k", 1, number, f"/t/dir{number}"))
        fold.take(Event("d", 1, number, f"/t/dir{number}", "/"))
    last = f"/t/{MOST_GONE + 499}"
    assert last not in fold.seen() and fold.gone == 2 * (MOST_GONE + 500)
    assert len(fold.seen()) <= MOST_GONE and len(fold._below.get("/t", ())) <= MOST_GONE
    assert not fold.disturbed
    fold.take(Event("r", 2, 10**6, last))
    assert not fold.seen()[last].is_read_first and fold.seen()[last].writes
    fold.take(Event("w", 2, 10**6, last))
    assert fold.seen()[last].writes


def test_names_that_came_to_stand_for_something_else_are_known_with_their_times() -> None:
    fold = folded(("r", "/d/in"), ("m", "/d", "/o"), ("m", "/n", "/d"), ("l", "/latest"), ("d", "/x"), ("r", "/y"))
    assert fold.disturbed == {"/d": (2, 3), "/o": (2, 2), "/n": (3, 3), "/latest": (4, 4), "/x": (5, 5)}
    assert fold.moved["/d/in"] == "/o/in"


def test_what_was_moved_is_followed_until_something_else_is_there() -> None:
    assert folded(("r", "/a"), ("m", "/a", "/b"), ("m", "/b", "/c")).moved == {"/a": "/c"}
    for event in (("w", "/b"), ("d", "/b"), ("m", "/other", "/b")):
        assert "/a" not in folded(("r", "/a"), ("m", "/a", "/b"), event).moved


def test_an_event_that_cannot_be_followed_costs_only_itself() -> None:
    fold = Fold()
    fold.take_all([Event("r", 1, 1, "/a"), Event("r", 1, 1, ""), Event("r", 1, None, None), Event("r", 1, 1, "/b")])  # type: ignore[arg-type]
    assert set(fold.paths()) >= {"/a", "/b"} and fold.failed == 1
