"""The graph through runs that share content: every edge by content, none backwards, none by chance."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.operations.origin import origins as room
from mltrack.operations.origin.lineage import NETWORK, TINY, UNKNOWN, UNMADE, UNREAD, Lineage, Ways, of_run, of_subject
from mltrack.operations.origin.origins import Origins
from mltrack.operations.origin.subject import Subject
from mltrack.records import Input
from mltrack.store.manifest import ManifestEntry
from mltrack.store.members import Lost
from tests.operations.content_made import a_run, facts, id_of, manifest, name_of, project_with

BOTH = Ways()
RAW, CLEAN, MODEL, OTHER = b"raw data", b"clean data", b"the model", b"other content"


def lineage(root: Path, name: str, *runs: Any, ways: Ways = BOTH, keep: bool = True) -> Lineage:
    with project_with(root, *runs, keep=keep) as project, Origins(project) as origins:
        return of_run(origins, project.ledger.get(id_of(name)), ways)


def edges(found: Lineage) -> set[tuple[str, str]]:
    return {(name_of(edge.maker), name_of(edge.user)) for edge in found.edges}


def leaves(found: Lineage) -> set[tuple[str, str, str]]:
    return {(name_of(leaf.user), leaf.path, leaf.why) for leaf in found.leaves}


CHAIN = (
    a_run("prepare", 0, {"raw.csv": RAW}, {"data/clean.csv": CLEAN}),
    a_run("train", 10, {"moved/clean.csv": CLEAN}, {"model.pt": MODEL}),
    a_run("assess", 20, {"model.pt": MODEL, "data/clean.csv": CLEAN}, {"score.json": OTHER}),
)


def test_runs_are_joined_by_content_whatever_the_paths(tmp_path: Path) -> None:
    found = lineage(tmp_path, "train", *CHAIN)
    assert edges(found) == {("prepare", "train"), ("train", "assess")}
    edge = next(edge for edge in found.edges if edge.user == id_of("train"))
    (shared,) = edge.shared
    assert (shared.made_as, shared.used_as, shared.digest, shared.size_bytes) == (
        "data/clean.csv", "moved/clean.csv", digest_bytes(CLEAN), len(CLEAN),
    )  # fmt: skip
    assert leaves(found) == {("prepare", "raw.csv", UNMADE)} and list(found.runs) == [
        id_of("prepare"), id_of("train"), id_of("assess"),
    ]  # fmt: skip


def test_up_and_down_are_asked_for_by_themselves_and_to_a_depth(tmp_path: Path) -> None:
    assert edges(lineage(tmp_path / "a", "prepare", *CHAIN)) == {
        ("prepare", "train"), ("train", "assess"), ("prepare", "assess"),
    }  # fmt: skip
    assert edges(lineage(tmp_path / "b", "train", *CHAIN, ways=Ways(down=False))) == {("prepare", "train")}
    assert edges(lineage(tmp_path / "c", "train", *CHAIN, ways=Ways(up=False))) == {("train", "assess")}
    long = [
        a_run(f"n{at}", 10 * at, {"in": b"content %d" % at}, {"out": b"content %d" % (at + 1)}) for at in range(1, 6)
    ]
    found = lineage(tmp_path / "d", "n1", *long, ways=Ways(depth=2))
    assert edges(found) == {("n1", "n2"), ("n2", "n3")} and found.cut == (id_of("n3"),)


def test_of_several_makers_the_first_is_the_node(tmp_path: Path) -> None:
    again = [a_run(f"again{at}", 50 + 10 * at, {}, {"model.pt": MODEL}) for at in range(3)]
    user = a_run("user", 200, {"m": MODEL})
    found = lineage(tmp_path, "user", *reversed(again), *CHAIN, user)
    assert ("train", "user") in edges(found) and "again1" not in {name_of(run) for run in found.runs}
    assert next(edge for edge in found.edges if edge.user == id_of("user")).shared[0].others == 3
    before = next(edge for edge in found.edges if edge.user == id_of("train")).shared[0]
    assert before.others == 0


def test_a_later_maker_sees_what_used_its_bytes_when_it_is_asked(tmp_path: Path) -> None:
    runs = (a_run("first", 0, {}, {"m": MODEL}), a_run("second", 10, {}, {"m": MODEL}), a_run("user", 20, {"m": MODEL}))
    assert edges(lineage(tmp_path / "a", "second", *runs)) == {("second", "user")}
    assert edges(lineage(tmp_path / "b", "first", *runs)) == {("first", "user")}


def test_no_edge_goes_backwards_in_time(tmp_path: Path) -> None:
    late = a_run("late", 100, {}, {"clean.csv": CLEAN})
    user = a_run("user", 10, {"clean.csv": CLEAN})
    found = lineage(tmp_path / "a", "user", late, user)
    assert edges(found) == set() and leaves(found) == {("user", "clean.csv", UNMADE)}
    assert edges(lineage(tmp_path / "b", "late", late, user)) == set()
    beside = a_run("beside", 12, {}, {"clean.csv": CLEAN})  # it began before the user had ended
    assert edges(lineage(tmp_path / "c", "user", beside, user)) == {("beside", "user")}
    unended = a_run("lost", 10, {"clean.csv": CLEAN}, status="lost", finished_at=None)
    assert edges(lineage(tmp_path / "d", "lost", late, unended)) == {("late", "lost")}


def test_a_run_does_not_come_from_itself(tmp_path: Path) -> None:
    found = lineage(tmp_path, "tidy", a_run("tidy", 0, {"a.csv": CLEAN}, {"a.csv": CLEAN}))
    assert edges(found) == set() and leaves(found) == {("tidy", "a.csv", UNMADE)}


def test_who_passes_on_what_it_read_is_not_taken_for_its_origin(tmp_path: Path) -> None:
    copy = a_run("copy", 0, {"in": CLEAN}, {"out": CLEAN})
    make = a_run("mint", 5, {}, {"out": CLEAN})
    user = a_run("user", 20, {"in": CLEAN})
    assert edges(lineage(tmp_path / "a", "user", copy, make, user)) >= {("mint", "user")}
    found = lineage(tmp_path / "b", "user", copy, user)
    assert edges(found) == {("copy", "user")} and found.edges[0].shared[0].copied


def test_two_that_exchange_their_outputs_end_it(tmp_path: Path) -> None:
    runs = (a_run("a", 0, {"y": OTHER}, {"x": MODEL}), a_run("b", 2, {"x": MODEL}, {"y": OTHER}))
    assert edges(lineage(tmp_path, "a", *runs)) == {("a", "b"), ("b", "a")}


def test_empty_and_tiny_files_make_no_edges(tmp_path: Path) -> None:
    runs = (
        a_run("a", 0, {}, {"empty": b"", "tiny": b"1234567", "eight": b"12345678", "dir": {"e": b""}}),
        a_run("b", 10, {"empty": b"", "tiny": b"1234567", "dir": {"e": b""}}),
        a_run("c", 10, {"eight": b"12345678"}),
    )
    found = lineage(tmp_path / "a", "b", *runs)
    assert edges(found) == set() and {why for _, _, why in leaves(found)} == {TINY}
    assert edges(lineage(tmp_path / "b", "c", *runs)) == {("a", "c")}


def test_what_is_not_known_is_a_leaf_that_says_so(tmp_path: Path) -> None:
    run, used, made = a_run("a", 0, {"gone.csv": None})
    url = Input("https://example.org/data", "url", None)
    found = lineage(tmp_path, "a", (type(run)(**{**run.__dict__, "inputs": (*run.inputs, url)}), used, made))
    assert leaves(found) == {("a", "gone.csv", UNKNOWN), ("a", "https://example.org/data", NETWORK)}


DIRECTORIES = {
    "a file of a directory, read as a file": ({"out": {"sub/m": MODEL, "n": OTHER}}, {"m.pt": MODEL}, ("out/sub/m", "m.pt", 1)),
    "a file, read in a directory": ({"m.pt": MODEL}, {"in": {"deep/m": MODEL, "raw": RAW}}, ("m.pt", "in/deep/m", 1)),
    "a directory, read as it is": ({"out": {"m": MODEL, "n": OTHER}}, {"in": {"m": MODEL, "n": OTHER}}, ("out", "in", 2)),
    "a part of a directory, read in another": (
        {"out": {"m": MODEL, "n": OTHER, "o": CLEAN}}, {"in": {"x/m": MODEL, "x/n": OTHER, "raw": RAW}}, ("out", "in", 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DIRECTORIES)
def test_directories_count_both_ways(tmp_path: Path, case: str) -> None:
    made, used, expected = DIRECTORIES[case]
    runs = (a_run("smith", 0, {}, made), a_run("user", 10, used))
    for name in ("smith", "user"):
        found = lineage(tmp_path / name, name, *runs)
        assert edges(found) == {("smith", "user")}
        ((shared,),) = (edge.shared for edge in found.edges)
        assert (shared.made_as, shared.used_as, shared.files) == expected
    rest = [(leaf.path, leaf.files, leaf.size_bytes) for leaf in found.leaves]
    assert rest == ([("in", 1, len(RAW))] if "raw" in str(used) else [])


def test_files_of_one_directory_may_come_from_several_runs(tmp_path: Path) -> None:
    runs = (
        a_run("a", 0, {}, {"m": MODEL}),
        a_run("b", 5, {}, {"out": {"n": OTHER, "o": CLEAN}}),
        a_run("user", 20, {"in": {"m": MODEL, "n": OTHER, "o": CLEAN}}),
    )
    found = lineage(tmp_path, "user", *runs)
    assert edges(found) == {("a", "user"), ("b", "user")} and not found.leaves


def test_a_directory_whose_list_is_not_here_is_never_silently_missing(tmp_path: Path) -> None:
    runs = (a_run("smith", 0, {}, {"m": MODEL}), a_run("user", 10, {"in": {"m": MODEL, "raw": RAW}}))
    found = lineage(tmp_path / "a", "user", *runs, keep=False)
    assert edges(found) == set() and found.unread == 1 and leaves(found) == {("user", "in", UNREAD)}
    same = (a_run("smith", 0, {}, {"out": {"m": MODEL}}), a_run("user", 10, {"in": {"m": MODEL}}))
    whole = lineage(tmp_path / "b", "user", *same, keep=False)
    assert edges(whole) == {("smith", "user")}, "the directory as a whole is known by its digest"


def test_a_failed_and_a_hidden_run_count_too(tmp_path: Path) -> None:
    runs = (a_run("bad", 0, {}, {"m": MODEL}, status="failed", exit_code=1), a_run("user", 10, {"m": MODEL}))
    with project_with(tmp_path, *runs) as project:
        project.ledger.add_event("delete", id_of("bad"), None)
        with Origins(project) as origins:
            found = of_run(origins, project.ledger.get(id_of("user")), Ways())
    assert edges(found) == {("bad", "user")}
    assert found.runs[id_of("bad")].hidden and found.runs[id_of("bad")].status == "failed"


def test_a_content_has_its_makers_above_and_its_users_below(tmp_path: Path) -> None:
    with project_with(tmp_path, *CHAIN, a_run("again", 30, {}, {"x": CLEAN})) as project, Origins(project) as origins:
        found = of_subject(origins, Subject(None, "digest", digest_bytes(CLEAN)), Ways())
        nobody = of_subject(origins, Subject(None, "digest", digest_bytes(b"nobody's")), Ways())
        tiny = of_subject(origins, Subject("x", "file", digest_bytes(b""), 0), Ways())
    assert [name_of(place.run) for place in found.made] == ["prepare", "again"]
    assert [(name_of(place.run), place.path) for place in found.used] == [
        ("train", "moved/clean.csv"), ("assess", "data/clean.csv"),
    ]  # fmt: skip
    assert edges(found) == {("train", "assess")} and leaves(found) == {("prepare", "raw.csv", UNMADE)}
    assert not nobody.made and not nobody.used and not tiny.made


def test_a_directory_that_no_run_had_is_joined_by_its_files(tmp_path: Path) -> None:
    entries = tuple(
        ManifestEntry(name.encode(), "file", 10, digest_bytes(data))
        for name, data in [("a", CLEAN), ("b", MODEL), ("e", b"")]
    )
    subject = Subject("some", "directory", digest_bytes(b"a list of nobody's"), 30, None, entries)
    with project_with(tmp_path, *CHAIN) as project, Origins(project) as origins:
        found = of_subject(origins, subject, Ways())
        below = of_subject(origins, subject, Ways(up=False))
    assert found.in_parts and [name_of(place.run) for place in found.made] == ["prepare", "train"]
    assert [name_of(place.run) for place in found.used] == ["train", "assess"]
    assert edges(found) == {("prepare", "train"), ("train", "assess")} and not below.made


def test_an_index_that_is_damaged_half_way_is_made_anew_and_asked_again(tmp_path: Path) -> None:
    with project_with(tmp_path, *CHAIN) as project:
        asked: list[int] = []

        def work(origins: Origins) -> int:
            asked.append(1)
            if len(asked) == 1:
                raise Lost("damaged")
            return len(of_run(origins, project.ledger.get(id_of("train")), BOTH).edges)

        assert room.ask(project, False, print, work) == 2 and len(asked) == 2


def test_a_long_chain_and_what_everybody_has_are_no_trouble(tmp_path: Path) -> None:
    runs = [
        a_run(f"{at}x", at, {"in": b"content %d" % at, "conf": CLEAN}, {"out": {"m": b"content %d" % (at + 1), "conf": CLEAN}})
        for at in range(300)
    ]  # fmt: skip
    found = lineage(tmp_path, "0x", *runs)
    assert len(found.runs) == 300 and len(found.edges) >= 299


CONTENTS = st.sampled_from([b"content %d" % number for number in range(5)])
THINGS = st.dictionaries(
    st.sampled_from("pqr"),
    st.one_of(CONTENTS, st.dictionaries(st.sampled_from("xy"), CONTENTS, min_size=1)),
    max_size=3,
)
RUNS = st.lists(st.tuples(st.integers(0, 30), THINGS, THINGS), min_size=1, max_size=7)


def contents_of(things: dict[str, Any]) -> set[bytes]:
    return {one for thing in things.values() for one in (thing.values() if isinstance(thing, dict) else (thing,))}


def wholes_of(things: dict[str, Any]) -> set[str]:
    return {digest_bytes(manifest(thing)) for thing in things.values() if isinstance(thing, dict)}


@settings(
    max_examples=25 * int(os.environ.get("MLTRACK_SOAK", "1")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(RUNS)
def test_edges_are_what_the_runs_say_and_the_same_read_whole_or_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, shape: list[Any]
) -> None:
    """Against a plain reading of the rule, of every run's inputs, by no index."""
    runs = [a_run("abcdefg"[at], second, used, made) for at, (second, used, made) in enumerate(shape)]
    with project_with(tmp_path_factory.mktemp("lineage"), *runs) as project:
        found = {}
        for few in (room.FEW, 0):
            with pytest.MonkeyPatch.context() as patch, Origins(project) as origins:
                patch.setattr(room, "FEW", few)
                found[few] = [of_run(origins, run, Ways()) for run, _, _ in runs]
        assert found[room.FEW] == found[0]
    for (user, used, _), graph in zip(runs, found[0]):
        expected = set()
        for maker, read, made in runs:
            shares = contents_of(made) & contents_of(used)
            if maker is user or not shares or maker.started_at > user.finished_at:
                continue
            originals = {
                content
                for content in shares
                if not any(
                    rank(other, content) < rank((maker, read, made), content)
                    for other in runs
                    if other[0] is not user
                    and content in contents_of(other[2])
                    and other[0].started_at <= user.finished_at
                )
            }
            if originals:
                expected.add(maker.id)
        told = {edge.maker for edge in graph.edges if edge.user == user.id}
        whole = {maker.id for maker, _, made in runs if wholes_of(made) & wholes_of(used)}
        assert told - whole <= expected and expected - told <= whole_covers(runs, user, used)
        assert all(edge.maker in graph.runs and edge.user in graph.runs for edge in graph.edges)


def rank(run: Any, content: bytes) -> tuple[bool, str, str]:
    """Who is first: those that did not have it among their inputs, the oldest."""
    made_by, used, _ = run
    return content in contents_of(used), made_by.started_at, made_by.id


def whole_covers(runs: list[Any], user: Any, used: dict[str, Any]) -> set[str]:
    """Makers that need no edge of their own, as a directory with their file was made as a whole by another run."""
    made_whole = {tree for maker, _, made in runs if maker is not user for tree in wholes_of(made)}
    covered = {
        content
        for thing in used.values()
        if isinstance(thing, dict) and facts(thing)[1] in made_whole
        for content in thing.values()
    }
    return {maker.id for maker, _, made in runs if contents_of(made) & covered}
