"""Which run made a file: by its content, wherever it lies; and what is said where no run is known."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from mltrack.digest import digest_bytes
from mltrack.errors import Ambiguous, MltrackError, NotFound, UsageError
from mltrack.operations.origin import clues as clue_room
from mltrack.operations.origin.blame import Blame, blame, common
from mltrack.operations.origin.clues import clues
from mltrack.operations.origin.origins import Origins
from mltrack.operations.origin.subject import Subject, of_digest, of_path, of_stream
from mltrack.project import Project
from mltrack.views.blame import blame_json, blame_page, unknown_text
from tests.helpers import git_repository, write
from tests.operations.content_made import a_run, id_of, name_of, project_with, record

RAW, CLEAN, MODEL, OTHER = b"raw data", b"clean data", b"the model", b"other content"

RUNS = (
    a_run("first", 0, {"raw": RAW}, {"data/clean.csv": CLEAN, "model.pt": MODEL}),
    a_run("again", 10, {"raw": RAW}, {"model.pt": MODEL}),
    a_run("assess", 20, {"weights": MODEL}),
    a_run("batch", 30, {}, {"out": {"deep/m": OTHER, "c": CLEAN}}),
)


def asked(project: Project, path: Path | str) -> Blame:
    with Origins(project) as origins:
        return blame(origins, of_path(project, project.root, str(path)), ())


def text(found: Blame) -> str:
    return blame_page(found, 1_800_000_000.0).render(None, False)


def test_a_copied_and_renamed_file_is_of_the_first_run_that_made_it(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.bin"
    place.write_bytes(MODEL)
    with project_with(tmp_path / "p", *RUNS) as project:
        found = asked(project, place)
    assert (found.answer, name_of(found.run.id)) == ("made", "first")
    assert [(name_of(one.run), one.path) for one in found.made] == [("first", "model.pt"), ("again", "model.pt")]
    assert [(name_of(one.run), one.path) for one in found.used] == [("assess", "weights")]
    page = text(found)
    assert f"Made by {id_of('first')} as model.pt" in page and "1 more run made the same bytes" in page
    document = blame_json(found)
    assert document["what"]["digest"] == digest_bytes(MODEL) and document["run"]["id"] == id_of("first")
    assert [one["run"] for one in document["made_by"]] == [id_of("first"), id_of("again")]


def test_what_no_run_made_is_told_by_who_used_it(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"x": RAW})
        found = asked(project, "x")
    assert (found.answer, name_of(found.run.id)) == ("used", "first") and not found.made
    assert f"No run made it. Used by {id_of('first')} as raw" in text(found) and "1 more run used it" in text(found)


def test_a_file_of_a_directory_is_found_and_where_in_it(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"x": OTHER})
        found = asked(project, "x")
    assert [(name_of(one.run), one.path) for one in found.made] == [("batch", "out/deep/m")]
    assert blame_json(found)["made_by"][0]["inside"] == "out"


def test_who_had_it_as_an_input_too_comes_last_and_is_told(tmp_path: Path) -> None:
    copy = a_run("copy", 0, {"in": CLEAN}, {"out": CLEAN})
    with project_with(tmp_path / "a", copy, a_run("mint", 5, {}, {"c": CLEAN})) as project:
        write(project.root, {"x": CLEAN})
        assert [name_of(one.run) for one in asked(project, "x").made] == ["mint", "copy"]
    with project_with(tmp_path / "b", copy) as project:
        write(project.root, {"x": CLEAN})
        assert "which had it among its inputs as well" in text(asked(project, "x"))


def test_a_directory_is_known_as_a_whole_or_by_its_files(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", *RUNS) as project:
        write(tmp_path / "whole", {"deep/m": OTHER, "c": CLEAN})
        whole = asked(project, tmp_path / "whole")
        assert (whole.answer, whole.made[0].path) == ("made", "out")
        write(tmp_path / "some", {"a/m": MODEL, "c": CLEAN, "new": b"never seen", "empty": b"", "raw": RAW})
        some = asked(project, tmp_path / "some")
        write(tmp_path / "none", {"new": b"never seen", "empty": b""})
        none = asked(project, tmp_path / "none")
    assert some.answer == "in parts" and some.telling_files == 4 and some.unknown_files == ("new",)
    assert [(name_of(part.run), part.role, part.files, part.path) for part in some.parts] == [
        ("first", "made", 2, "."), ("first", "used", 1, "raw"),
    ]  # fmt: skip
    assert "3 of 4 files are known" in text(some) and "new" in text(some)
    assert none.answer == "unknown"


def test_a_directory_of_files_of_many_runs_is_told_in_full(tmp_path: Path) -> None:
    runs = [a_run(f"n{at}x", at, {}, {"out": b"content %d" % at, "conf": CLEAN}) for at in range(1, 60)]
    with project_with(tmp_path / "p", *runs) as project:
        write(tmp_path / "d", {f"{at}.bin": b"content %d" % at for at in range(1, 60)})
        found = asked(project, tmp_path / "d")
    assert len({part.run for part in found.parts}) == 59 and sum(part.files for part in found.parts) == 59


def test_empty_and_tiny_files_are_said_to_mean_nothing(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", a_run("a", 0, {}, {"empty": b"", "tiny": b"1234567"})) as project:
        write(project.root, {"empty": b"", "tiny": b"1234567"})
        empty, tiny = asked(project, "empty"), asked(project, "tiny")
    assert (empty.answer, tiny.answer) == ("means nothing", "means nothing") and empty.run is None
    assert "is empty" in unknown_text(empty)[0] and "only 7 bytes" in unknown_text(tiny)[0]


def test_a_list_that_is_not_here_is_told_with_the_answer(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", *RUNS, keep=False) as project:
        write(project.root, {"x": OTHER})
        found = asked(project, "x")
    assert found.answer == "unknown" and found.unread == 1
    assert "What lies in 1 directory of runs is not known here: add --fetch." in unknown_text(found)[1]


def test_links_are_followed_and_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"x": MODEL})
        (project.root / "link").symlink_to("x")
        os.mkfifo(project.root / "pipe")
        assert asked(project, "link").answer == "made"
        with pytest.raises(UsageError):
            asked(project, "pipe")
        with pytest.raises(NotFound):
            asked(project, "not there")


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \n.bin")
    with project_with(tmp_path / "p", *RUNS) as project:
        (project.root / name).write_bytes(MODEL)
        found = asked(project, name)
    assert "caf\\xe9 \\n.bin" in text(found) and blame_json(found)["what"]["path_b64"]


def test_a_known_digest_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.store import keep

    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"x": MODEL})
        os.utime(project.root / "x", (1, 1))
        if project.stat_cache.now_ns() - (project.root / "x").stat().st_ctime_ns < 60 * 10**9:
            monkeypatch.setattr("mltrack.store.statcache.QUIET_NS", -(10**9))
        assert asked(project, "x").answer == "made"
        monkeypatch.setattr(keep, "digest_file", lambda *_: pytest.fail("it was read"))
        assert asked(project, "x").answer == "made"


def test_a_stream_and_a_digest_or_its_beginning_will_do(tmp_path: Path) -> None:
    digest = digest_bytes(MODEL)
    assert of_stream(io.BytesIO(MODEL)).digest == digest
    assert of_stream(io.BytesIO(MODEL * 2_000_000)).digest == digest_bytes(MODEL * 2_000_000)
    with project_with(tmp_path / "p", *RUNS) as project, Origins(project) as origins:
        for typed in (digest, digest[:11], digest[:20].upper()):
            assert of_digest(project, typed, origins.members.beginning).digest == digest
        inner = digest_bytes(OTHER)
        assert of_digest(project, inner[:11], origins.members.beginning).digest == inner, "it lies in a directory"
        for typed in ("b3:", "b3:1234567", "b3:notahexnumber"):
            with pytest.raises(UsageError):
                of_digest(project, typed, origins.members.beginning)
        with pytest.raises(NotFound):
            of_digest(project, "b3:" + "0" * 12, origins.members.beginning)
        with pytest.raises(Ambiguous) as caught:
            of_digest(project, digest[:11], lambda prefix: {digest[:-1] + "0", digest[:-1] + "1"})
        assert digest in caught.value.message


def test_a_file_that_changes_under_us_has_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.store import keep

    def changed(*_: object) -> str:
        raise keep.Changed

    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"x": MODEL})
        monkeypatch.setattr(keep, "digest_file", changed)
        with pytest.raises(MltrackError, match="changes while it is read"):
            asked(project, "x")


def found_clues(project: Project, path: str, *live: object) -> list[tuple[str, str]]:
    subject = of_path(project, project.root, path)
    return [(clue.kind, clue.message) for clue in clues(project, subject, live)]


def test_a_file_that_changed_after_its_run_is_told_as_that(tmp_path: Path) -> None:
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"model.pt": b"changed since", "out/deep/m": b"changed too", "out/c": CLEAN})
        assert (
            found_clues(project, "model.pt")[0][1]
            == f"model.pt of {id_of('again')} was written here, with other bytes."
        )
        assert "The directory out of" in found_clues(project, "out/deep/m")[0][1]
        assert not found_clues(project, "out/c"), "that one is as the run left it"


def test_a_running_run_may_have_made_what_was_written_since_it_began(tmp_path: Path) -> None:
    live = record("live", 100, {}, {}, status="running", finished_at=None)
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"new": b"never seen", "old": b"seen before"})
        os.utime(project.root / "old", (1_000_000_000, 1_000_000_000))
        assert [kind for kind, _ in found_clues(project, "new", live)] == ["running"]
        assert found_clues(project, "old", live) == []
        digest = Subject(None, "digest", digest_bytes(b"never seen"))
        assert [clue.kind for clue in clues(project, digest, (live,))] == ["running"]


def test_what_git_tracks_is_told_with_its_commit(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "p", {"sub/a b.csv": "tracked data\n", "other.csv": "as committed\n"})
    with project_with(root, *RUNS) as project:
        write(root, {"other.csv": "edited since\n", "untracked": "not in git\n"})
        ((kind, message),) = found_clues(project, "sub/a b.csv")
        assert kind == "tracked" and "it came with commit" in message and "by A Tester, 'start'" in message
        assert "HEAD has other bytes" in found_clues(project, "other.csv")[0][1]
        assert found_clues(project, "untracked") == []


def test_the_large_file_that_shares_most_is_named(tmp_path: Path) -> None:
    large = os.urandom(5 << 20)
    other = os.urandom(5 << 20)
    runs = (a_run("near", 0, {}, {"model.pt": large}), a_run("far", 10, {}, {"x": other[: 4 << 20]}))
    with project_with(tmp_path / "p", *runs) as project:
        project.store.put_stream([large])
        project.store.put_stream([other[: 4 << 20]])
        project.store.flush()
        write(
            project.root, {"edited": large[: 3 << 20] + b"an edit" + large[3 << 20 :], "strange": os.urandom(3 << 20)}
        )
        ((kind, message),) = found_clues(project, "edited")
        assert kind == "alike" and f"model.pt of {id_of('near')}" in message
        assert 50 <= int(message.split(" %")[0].rpartition(" ")[2]) <= 99
        assert found_clues(project, "strange") == []


def test_a_broken_repository_or_store_costs_the_clue_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"x": b"never seen"})

        def broken(place: Path) -> object:
            raise UsageError("git does not open this repository.")

        monkeypatch.setattr(clue_room, "tracked", broken)
        assert found_clues(project, "x") == []


def test_a_known_file_is_not_looked_at_for_clues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tracked", "code", "alike"):
        monkeypatch.setattr(clue_room, name, lambda *_: pytest.fail("it was read once more"))
    with project_with(tmp_path / "p", *RUNS) as project:
        write(project.root, {"model.pt": CLEAN})
        found = asked(project, "model.pt")
    assert found.answer == "made" and [clue.kind for clue in found.clues] == ["changed"]
    assert "! model.pt of" in text(found)


def test_the_place_of_several_files_is_their_directory() -> None:
    assert common(["a/b/c", "a/b/d"]) == "a/b" and common(["a/b"]) == "a/b"
    assert common(["a", "b"]) == "." and common(["/x/a", "b"]) == "."
