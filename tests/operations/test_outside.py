"""Data outside the project, in a reproduction: where the command looks for it, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.digest import canonical_json
from mltrack.errors import Damaged, DataMissing
from mltrack.executors import Command
from mltrack.executors import mounts as mounts_room
from mltrack.executors.local import execute
from mltrack.live.outputlog import plain_bytes
from mltrack.live.rundir import RunDir
from mltrack.noun_json import to_dict
from mltrack.operations.outside.left_behind import claim, remove_claimed, sweep
from mltrack.operations.outside.moves import home_of
from mltrack.operations.outside.places import Outside, Way, declared_outside
from mltrack.operations.repeating.workspace import copied_place
from mltrack.operations.request import Place
from mltrack.project import Project
from mltrack.records import Artifact, CodeState, Input, Observation, Run
from mltrack.store.keep import keep_path
from tests.executors.driving import needs_binds
from tests.helpers import git_repository, tree_of, write
from tests.operations.keeping import Keeping

REPLACE = f"{sys.executable} -c 'import os, sys; os.replace(*sys.argv[1:])'"
"""As programs do it; `mv` would copy where renaming is refused."""

FILES = {"train.csv": "1,2,3\n", "set/a": "a", "set/deep/b": "b", "set/run.sh": "#!/bin/sh\n"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory outside of the project, as on the first machine."""
    write(tmp_path / "data", FILES)
    return tmp_path / "data"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    git_repository(tmp_path / "project")
    with Keeping(tmp_path / "project").open() as project:
        yield project


def kept(project: Project, path: Path, **changes: object) -> Input:
    """What lies there, as an input that the store holds."""
    found = keep_path(path, project.store)
    values = {"size_bytes": found.size_bytes, "files": found.files, "found": "observed", "kept": True, **changes}
    return Input(str(path), found.kind, found.digest, **values)  # type: ignore[arg-type]


def run_of(project: Project, *inputs: Input, artifacts: tuple[Artifact, ...] = (), **changes: object) -> Run:
    keeping = Keeping(project.root)
    changes = {"origin": {"home": str(project.root.parent)}, **changes} if "observation" in changes else changes
    return keeping.run_in(project, {}, None, inputs=inputs, artifacts=artifacts, **changes)


def listing(project: Project, *lines: tuple[object, str, str]) -> Observation:
    """An observation with these paths, rules and letters; the test's directory stands for the home of who ran it."""
    rows = [
        {"path": str(path), "made": "left out", "rule": rule, "letters": letters, "digest": None}
        for path, rule, letters in lines
    ]
    return Observation(paths=project.store.put_bytes(b"".join(canonical_json(row) + b"\n" for row in rows)))


class Again:
    """A reproduction as far as it is about data outside."""

    def __init__(self, project: Project, run: Run, **way: object) -> None:
        self.project = project
        self.said: list[str] = []
        way = {"needed": (project.root,), **way}
        self.outside = Outside(project, run, Way(project.work / "outside-x", project.root, **way), self.said.append)  # type: ignore[arg-type]

    def put(self) -> Place:
        self.outside.put(self.outside.already_there())
        return self.outside.placed(copied_place(self.project.root, CodeState()))

    def sh(self, script: str) -> str:
        """What the command prints."""
        place = self.put()
        rundir = RunDir.create(self.project.runs, "run")
        command = Command(
            ("/bin/sh", "-c", script), self.project.root, dict(os.environ), 1 << 20, bytes, True, binds=place.binds
        )
        self.outcome = execute(command, rundir, lambda: None)
        output = rundir.output.read_bytes()
        text = plain_bytes(output, "o")
        self.errors = plain_bytes(output, "e").decode()
        rundir.remove()
        return text.decode()


def test_what_is_there_is_used_as_it_is(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"), kept(project, data / "set"))
    place = Again(project, run).put()
    assert (place.binds, dict(place.outside)) == ((), {})


@needs_binds
def test_what_is_gone_is_seen_by_the_command_alone(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"), kept(project, data / "set"))
    data.rename(data.with_name("hidden"))
    again = Again(project, run)
    assert again.sh(f"cat {data}/train.csv {data}/set/deep/b; ls {data}; cd {data}/set && pwd") == (
        f"1,2,3\nbset\ntrain.csv\n{data}/set\n"
    )
    assert not data.exists()
    assert again.said
    again.outside.drop()
    assert not (project.work / "outside-x").exists()


@needs_binds
def test_what_differs_is_covered_and_stays_as_it_is(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"), kept(project, data / "set"))
    (data / "train.csv").write_text("other")
    (data / "set" / "more").write_text("mine")
    before = tree_of(data)
    again = Again(project, run)
    assert again.sh(f"cat {data}/train.csv; ls {data}/set; echo x > {data}/train.csv; rm {data}/set/a") == (
        "1,2,3\na\ndeep\nrun.sh\n"
    )
    assert tree_of(data) == before


@needs_binds
def test_all_else_beside_it_stays_to_be_seen(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"))
    (data / "train.csv").unlink()
    (data / "link").symlink_to("set/a")
    (data / "odd\nname").write_text("odd")
    text = Again(project, run).sh(f"cat {data}/train.csv {data}/link {data}/odd*; echo new > {data}/set/new")
    assert text == "1,2,3\naodd"
    assert (data / "set" / "new").read_text() == "new\n", "the user's own directories are his own"
    assert not (data / "train.csv").exists()


@needs_binds
def test_of_a_partial_directory_only_its_files_count(project: Project, data: Path) -> None:
    whole = kept(project, data / "set", partial=True)
    run = run_of(project, whole)
    (data / "set" / "more").write_text("was never read")
    assert Again(project, run).put().binds == ()
    (data / "set" / "a").write_text("other")
    assert Again(project, run).sh(f"ls {data}/set; cat {data}/set/a") == "a\ndeep\nrun.sh\na"


@needs_binds
def test_a_link_that_leads_outside_leads_to_what_was_there(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"))
    (project.root / "data").symlink_to(data)
    data.rename(data.with_name("hidden"))
    assert Again(project, run).sh("cat data/train.csv") == "1,2,3\n"


@needs_binds
def test_a_place_that_today_is_reached_by_a_link_is_covered_where_that_leads(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"))
    disk = data.with_name("disk")
    data.rename(disk)
    data.symlink_to("disk")
    (disk / "train.csv").unlink()
    again = Again(project, run)
    place = again.put()
    assert place.lies_at(f"{data}/train.csv").read_text() == "1,2,3\n"
    assert again.sh(f"cat {data}/train.csv {disk}/train.csv") == "1,2,3\n1,2,3\n"


@needs_binds
def test_a_file_in_the_place_of_a_directory_gives_way(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "set"))
    data.rename(data.with_name("hidden"))
    data.write_text("a file now")
    assert Again(project, run).sh(f"cat {data}/set/a") == "a"
    assert data.read_text() == "a file now"


@needs_binds
def test_a_place_at_the_root_directory_is_possible(project: Project, data: Path) -> None:
    top = f"/mltrack-test-{os.getpid()}"
    item = kept(project, data / "set")
    moved = Input(f"{top}/big/set", "directory", item.digest, kept=True, found="observed")
    assert Again(project, run_of(project, moved)).sh(f"cat {top}/big/set/a; ls -d /proc/self {data}") == (
        f"a/proc/self\n{data}\n"
    )
    assert not os.path.exists(top)


@needs_binds
def test_files_of_one_directory_and_of_one_in_it_are_seen_together(project: Project, data: Path) -> None:
    inputs = [kept(project, data / name) for name in ("train.csv", "set/deep/b", "set/a")]
    run = run_of(project, *inputs)
    for name in ("train.csv", "set/deep/b"):
        (data / name).unlink()
    (data / "set" / "a").write_text("other")
    assert Again(project, run).sh(f"cat {data}/train.csv {data}/set/deep/b {data}/set/a {data}/set/run.sh") == (
        "1,2,3\nba#!/bin/sh\n"
    )


# -- the home directory


@needs_binds
def test_what_lay_in_another_home_is_found_there_and_in_todays(project: Project, data: Path, walls: Path) -> None:
    item = kept(project, data / "set")
    then = "/home/mltrack-nobody"
    moved = Input(f"{then}/sets/one", "directory", item.digest, kept=True, found="observed", root="home")
    again = Again(project, run_of(project, moved))
    assert again.sh(f"cat {then}/sets/one/a ~/sets/one/deep/b") == "ab"
    assert again.put().named(f"{walls}/sets/one/a") == f"{then}/sets/one/a"
    assert not (walls / "sets").exists()


@needs_binds
def test_what_is_in_todays_home_already_is_enough(project: Project, data: Path, walls: Path) -> None:
    item = kept(project, data / "train.csv")
    (walls / "train.csv").write_bytes((data / "train.csv").read_bytes())
    moved = Input("/home/mltrack-nobody/train.csv", "file", item.digest, found="observed", root="home")
    assert Again(project, run_of(project, moved)).put().binds == ()


def test_the_recorded_home_is_the_one_that_the_record_names(project: Project) -> None:
    run = run_of(project, origin={"home": "/srv/people/ann"})
    assert home_of(run, "/srv/people/ann/x") == "/srv/people/ann"
    assert home_of(run, "/data/x") is None
    unknown = run_of(project, origin={"home": "/"})
    assert home_of(unknown, "/home/ann/x/y") == "/home/ann"
    assert home_of(unknown, "/root/x") == "/root"
    assert home_of(unknown, "/data/x") is None


# -- what the command writes outside


@needs_binds
def test_what_the_command_writes_outside_stays_away_from_the_users_files(project: Project, data: Path) -> None:
    old = data / "out" / "model.bin"
    write(data, {"out/model.bin": "the user's", "out/other.bin": "another"})
    digest = keep_path(old, project.store).digest
    run = run_of(project, artifacts=(Artifact(str(old), "file", str(digest), 10),))
    again = Again(project, run)
    script = f"cd {data}/out; ls; echo new > t; mv t model.bin; echo more > extra.bin; cat other.bin"
    assert again.sh(script) == "other.bin\nanother"
    place = again.put()
    assert old.read_text() == "the user's"
    assert sorted(os.listdir(data / "out")) == ["model.bin", "other.bin"]
    assert place.lies_at(str(old)).read_text() == "new\n"
    assert place.lies_at(f"{data}/out/extra.bin").read_text() == "more\n"
    assert place.lies_at(f"{data}/out/other.bin").read_text() == "another"
    assert place.seen_as(place.lies_at(str(old))) == str(old)


@needs_binds
def test_the_directory_of_an_output_is_there_though_nothing_was(project: Project, tmp_path: Path) -> None:
    gone = tmp_path / "scratch" / "deep" / "model.bin"
    run = run_of(project, artifacts=(Artifact(str(gone), "file", "b3:" + "0" * 64, 1),))
    again = Again(project, run)
    again.sh(f"echo new > {gone}")
    assert again.put().lies_at(str(gone)).read_text() == "new\n"
    assert not (tmp_path / "scratch").exists()


@needs_binds
def test_a_file_that_was_read_and_then_written_is_there_as_it_was(project: Project, data: Path) -> None:
    item = kept(project, data / "train.csv")
    (data / "train.csv").write_text("the user's, by now")
    run = run_of(project, item, artifacts=(Artifact(str(data / "train.csv"), "file", "b3:" + "0" * 64, 1),))
    again = Again(project, run)
    assert again.sh(f"cat {data}/train.csv; echo 4 >> {data}/train.csv") == "1,2,3\n"
    assert (data / "train.csv").read_text() == "the user's, by now"
    assert again.outside.arranged.find(str(data / "train.csv")).read_text() == "1,2,3\n4\n"  # type: ignore[union-attr]


@needs_binds
@pytest.mark.parametrize("is_crowded_above", [False, True])
def test_what_was_staged_and_renamed_is_staged_again_and_the_users_files_are_left(
    project: Project, data: Path, is_crowded_above: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two directories are one view, as they were one disk; also where those above cannot be covered, in which
    another home lies too."""
    if is_crowded_above:
        monkeypatch.setattr("mltrack.operations.outside.arrange.LIMIT", 20)
        write(data.parent.parent, {f"crowd{number}": "" for number in range(30)})
    write(data, {"stage/mine": "the user's", "stage/x": "the user's too", "final/other": "another", "rest/r": "rest"})
    final = data / "final" / "deep" / "x"
    final.parent.mkdir()
    artifact = Artifact(str(final), "file", "b3:" + "0" * 64, 6)
    run = run_of(
        project, artifacts=(artifact,), observation=listing(project, (data / "stage" / "x", "temporary", "wd"))
    )
    before = tree_of(data)
    again = Again(project, run)
    script = (
        f"cd {data}; ls stage; echo model > stage/x && {REPLACE} stage/x final/deep/x && {REPLACE} stage/mine final/mine;"
        "cat rest/r"
    )
    assert again.sh(script) == "mine\nrest", again.errors
    assert not again.errors
    assert again.put().lies_at(str(final)).read_text() == "model\n"
    assert again.put().lies_at(f"{data}/final/mine").read_text() == "the user's"
    assert again.put().lies_at(f"{data}/rest/r") == data / "rest" / "r"
    assert tree_of(data) == before


@needs_binds
def test_small_files_where_the_command_writes_can_be_replaced_and_removed(project: Project, data: Path) -> None:
    write(data, {"out/cfg.json": "1", "out/old": "old", "out/.env": "KEY=1"})
    (data / "out" / "old").chmod(0o640)
    run = run_of(project, artifacts=(Artifact(f"{data}/out/model.bin", "file", "b3:" + "0" * 64, 1),))
    before = tree_of(data)
    script = f"cd {data}/out && cat .env && stat -c %a old && echo 2 > t && {REPLACE} t cfg.json && cat cfg.json && rm old && ls"
    again = Again(project, run)
    assert again.sh(script) == "KEY=1640\n2\ncfg.json\n"
    assert again.put().lies_at(f"{data}/out/.env") == data / "out" / ".env", "no second copy of what may be secret"
    assert tree_of(data) == before


@needs_binds
def test_large_files_where_the_command_writes_are_seen_but_not_copied(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltrack.operations.outside import copying

    monkeypatch.setattr(copying, "COPY_LIMIT", 2)
    monkeypatch.setattr(copying, "cloned", lambda old, new: False)
    write(data, {"out/large": "large", "out/small": "s"})
    run = run_of(project, artifacts=(Artifact(f"{data}/out/model.bin", "file", "b3:" + "0" * 64, 1),))
    again = Again(project, run)
    assert again.sh(f"cat {data}/out/large {data}/out/small") == "larges"
    assert again.put().lies_at(f"{data}/out/large") == data / "out" / "large"
    assert again.put().lies_at(f"{data}/out/small") != data / "out" / "small"


@needs_binds
def test_a_file_that_the_run_read_and_changed_is_changed_in_a_copy_though_it_is_there(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltrack.operations.outside import copying

    monkeypatch.setattr(copying, "COPY_LIMIT", 2)
    item = kept(project, data / "train.csv")
    run = run_of(project, item, artifacts=(Artifact(str(data / "train.csv"), "file", "b3:" + "0" * 64, 1),))
    again = Again(project, run)
    assert again.sh(f"cat {data}/train.csv; echo 4 >> {data}/train.csv") == "1,2,3\n"
    assert (data / "train.csv").read_text() == "1,2,3\n"
    assert again.put().lies_at(str(data / "train.csv")).read_text() == "1,2,3\n4\n"


@needs_binds
def test_an_input_that_the_run_removed_at_last_is_not_removed_from_the_user(project: Project, data: Path) -> None:
    item = kept(project, data / "train.csv")
    run = run_of(project, item, observation=listing(project, (data / "train.csv", "data", "rfd")))
    assert Again(project, run).sh(f"cat {data}/train.csv; rm {data}/train.csv; ls {data}") == "1,2,3\nset\n"
    assert (data / "train.csv").exists()


@needs_binds
def test_scratch_files_and_what_belongs_to_tools_are_not_kept_apart(project: Project, data: Path) -> None:
    lines = [("/tmp/tmpabc", "temporary", "wd"), (data / "x", "cache", "w"), (data / "y", "data", "rf")]
    run = run_of(project, observation=listing(project, *lines), origin={"home": str(data)})
    assert Again(project, run).put().binds == ()


def test_a_listing_that_is_not_to_be_had_stops_nothing(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"), observation=Observation(paths="b3:" + "1" * 64))
    assert Again(project, run).put().binds == ()


@needs_binds
def test_without_a_view_of_its_own_nothing_is_written_over(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts_room, "why_not", lambda: "it is forbidden")
    old = data / "model.bin"
    run = run_of(project, artifacts=(Artifact(str(old), "file", "b3:" + "0" * 64, 1),))
    again = Again(project, run)
    again.put()
    assert "for good" in again.said[0], "nothing is there, but it must be known"
    old.write_text("mine")
    with pytest.raises(DataMissing, match="would write over"):
        Again(project, run).put()
    Again(project, run, put_back=True).put()
    digest = str(keep_path(old, project.store).digest)
    Again(project, run_of(project, artifacts=(Artifact(str(old), "file", digest, 4),))).put()


# -- put back


def test_put_back_writes_where_nothing_is(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "train.csv"), kept(project, data / "set"))
    before = tree_of(data)
    data.rename(data.with_name("hidden"))
    again = Again(project, run, put_back=True)
    assert again.put().binds == ()
    assert tree_of(data) == before
    assert [line for line in again.said if "put back" in line]


def test_put_back_never_writes_over_anything(project: Project, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts_room, "why_not", lambda: "it is forbidden")
    run = run_of(project, kept(project, data / "train.csv"))
    (data / "train.csv").write_text("mine")
    with pytest.raises(DataMissing, match="something else is there") as caught:
        Again(project, run, put_back=True).put()
    assert "it is forbidden" in caught.value.message
    (data / "train.csv").unlink()
    (data / "train.csv").symlink_to("nowhere")
    with pytest.raises(DataMissing):
        Again(project, run, put_back=False).put()
    assert os.readlink(data / "train.csv") == "nowhere"


def test_put_back_writes_no_hidden_names(project: Project, data: Path) -> None:
    item = kept(project, data / "train.csv")
    for name in (".ssh/authorized_keys", ".bashrc", "x/.git/config"):
        run = run_of(project, Input(str(data / name), "file", item.digest, kept=True))
        with pytest.raises(DataMissing, match=r"dot in front|belongs to git"):
            Again(project, run, put_back=True).put()
        assert not (data / name).exists()


@pytest.mark.parametrize("path", ["/run/x", "/var/spool/cron/crontabs/root", "/opt/x", "/var/lib/x"])
def test_put_back_writes_nothing_where_it_would_make_others_do_things(project: Project, data: Path, path: str) -> None:
    item = kept(project, data / "train.csv")
    with pytest.raises(DataMissing, match="system's directories"):
        Again(project, run_of(project, replace(item, path=path)), put_back=True).put()
    assert not os.path.lexists(path)


def test_put_back_writes_no_programs_that_a_name_finds(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{data}/bin")
    item = replace(kept(project, data / "train.csv"), path=f"{data}/bin/python")
    with pytest.raises(DataMissing, match="system's directories"):
        Again(project, run_of(project, item), put_back=True).put()


def test_put_back_makes_no_directory_of_a_file(project: Project, data: Path) -> None:
    item = replace(kept(project, data / "train.csv"), path=f"{data}/train.csv/x")
    with pytest.raises(DataMissing, match="is no directory"):
        Again(project, run_of(project, item), put_back=True).put()
    assert (data / "train.csv").read_text() == "1,2,3\n"


@needs_binds
def test_a_pipe_in_the_place_of_an_input_is_not_read(project: Project, data: Path) -> None:
    item = kept(project, data / "train.csv")
    (data / "train.csv").unlink()
    os.mkfifo(data / "train.csv")
    assert Again(project, run_of(project, item)).sh(f"cat {data}/train.csv") == "1,2,3\n"


# -- what cannot be had


def test_what_is_neither_there_nor_kept_is_named_with_size_and_digest(project: Project, data: Path) -> None:
    large = kept(project, data / "train.csv", kept=False)
    run = run_of(project, large, kept(project, data / "set"))
    (data / "train.csv").unlink()
    with pytest.raises(DataMissing) as caught:
        Again(project, run).put()
    for part in (str(data / "train.csv"), "6 bytes", str(large.digest), "data.keep_limit"):
        assert part in caught.value.message
    assert "--put-back" in str(caught.value.hint)


def test_without_a_view_of_its_own_the_ways_out_are_named(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts_room, "why_not", lambda: "this system has no mount namespaces")
    run = run_of(project, *(kept(project, data / name) for name in FILES))
    data.rename(data.with_name("hidden"))
    with pytest.raises(DataMissing) as caught:
        Again(project, run).put()
    assert caught.value.exit_code == 6
    assert "no mount namespaces" in caught.value.message
    assert f"mltrack reproduce {run.id} --put-back" in str(caught.value.hint)


def test_what_nobody_has_is_told_and_becomes_a_condition(project: Project, data: Path) -> None:
    url = Input("https://example.org/data.csv", "url", None, found="observed")
    moved = Input(str(data / "gone"), "file", None, found="observed", changed_during_run=True)
    again = Again(project, run_of(project, url, moved))
    again.put()
    assert [condition.then for condition in again.outside.conditions] == [url.path, moved.path]
    assert "from the network" in again.said[0]


def test_a_declared_input_that_changed_stops_it_as_ever(project: Project, data: Path) -> None:
    item = Input(str(data / "train.csv"), "file", None, found="declared", changed_during_run=True)
    with pytest.raises(DataMissing, match="changed while"):
        Again(project, run_of(project, item)).put()


# -- hostile records


@pytest.mark.parametrize("path", ["/a/../../etc/x", "//etc/x", "/a//b", "/a/.", "/a/\0b"])
def test_a_path_that_no_honest_record_has_is_damage(project: Project, data: Path, path: str) -> None:
    item = kept(project, data / "train.csv")
    with pytest.raises(Damaged):
        Again(project, run_of(project, Input(path, "file", item.digest, kept=True))).put()
    with pytest.raises(Damaged):
        Again(project, run_of(project, artifacts=(Artifact(path, "file", "b3:" + "0" * 64, 1),))).put()


@pytest.mark.parametrize("path", ["/", "/etc/ld.so.preload", "/usr/lib/libm.so", "/proc/x", "/dev/x", "/sys/x", "/etc"])
@pytest.mark.parametrize("put_back", [False, True])
def test_nothing_of_ours_stands_in_the_place_of_the_systems(
    project: Project, data: Path, path: str, put_back: bool
) -> None:
    kind = "directory" if path in ("/", "/etc") else "file"
    item = kept(project, data / ("set" if kind == "directory" else "train.csv"))
    with pytest.raises(DataMissing, match="belongs to the system"):
        Again(project, run_of(project, Input(path, kind, item.digest, kept=True)), put_back=put_back).put()


def test_a_link_that_leads_to_the_systems_files_is_no_way_around(project: Project, data: Path) -> None:
    (data / "link").symlink_to("/etc")
    item = kept(project, data / "train.csv")
    with pytest.raises(DataMissing, match="belongs to the system"):
        Again(project, run_of(project, Input(f"{data}/link/passwd", "file", item.digest, kept=True))).put()


@needs_binds
def test_what_the_command_needs_is_never_covered(project: Project, data: Path) -> None:
    item = kept(project, data / "set")
    run = run_of(project, Input(str(project.root.parent), "directory", item.digest, kept=True))
    with pytest.raises(DataMissing, match="lies in it, which the command needs"):
        Again(project, run).put()


@needs_binds
def test_a_directory_of_too_many_entries_is_refused(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltrack.operations.outside import arrange

    monkeypatch.setattr(arrange, "LIMIT", 1)
    run = run_of(project, kept(project, data / "train.csv"))
    (data / "train.csv").unlink()
    (data / "another").touch()
    with pytest.raises(DataMissing, match="more than 1 entries"):
        Again(project, run).put()


# -- declared inputs, and names


@needs_binds
def test_a_declared_input_is_recorded_by_its_own_path(project: Project, data: Path) -> None:
    run = run_of(project, kept(project, data / "set", found="declared"))
    data.rename(data.with_name("hidden"))
    again = Again(project, run)
    (found,) = declared_outside(again.put(), run)
    assert found.path == str(data / "set")
    assert (found.place / "a").read_text() == "a"


def test_paths_are_their_own_where_nothing_is_covered(project: Project) -> None:
    place = copied_place(project.root, CodeState())
    assert str(place.lies_at("/data/x")) == place.seen_as(Path("/data/x")) == place.named("/data/x") == "/data/x"


def test_the_mounts_of_this_process_are_as_before(project: Project) -> None:
    done = subprocess.run(["cat", "/proc/self/mountinfo"], capture_output=True, check=False)
    assert b"outside-x" not in done.stdout


# -- one input within another, many of them


@needs_binds
def test_what_is_there_stays_to_be_seen_in_a_directory_that_is_laid_out_above_it(project: Project, data: Path) -> None:
    whole, one = kept(project, data / "set"), kept(project, data / "train.csv")
    (data / "train.csv").rename(data / "set" / "inner.csv")
    (data / "set" / "a").write_text("other")
    inner = replace(one, path=str(data / "set" / "inner.csv"))
    again = Again(project, run_of(project, whole, inner))
    assert again.sh(f"cat {data}/set/a {data}/set/inner.csv") == "a1,2,3\n"
    assert again.put().lies_at(inner.path) == data / "set" / "inner.csv"


@needs_binds
def test_many_files_of_one_directory_are_covered_with_it(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltrack.operations.outside import arrange

    monkeypatch.setattr(arrange, "CROWD", 3)
    write(data, {f"many/{number}": str(number) for number in range(10)})
    items = [kept(project, data / "many" / str(number)) for number in range(10)]
    for number in range(10):
        (data / "many" / str(number)).write_text("other")
    again = Again(project, run_of(project, *items))
    assert again.sh(f"cat {data}/many/*") == "0123456789"
    assert len(again.outside.arranged.covers) == 4
    assert {(data / "many" / str(number)).read_text() for number in range(10)} == {"other"}


# -- what fails by it, and what is left behind


@needs_binds
def test_an_entry_that_goes_before_the_start_is_not_there_rather_than_empty(project: Project, data: Path) -> None:
    run = run_of(project, artifacts=(Artifact(f"{data}/model.bin", "file", "b3:" + "0" * 64, 1),))
    again = Again(project, run)
    place = again.put()
    (data / "set").rename(data / "set.old")
    again.put = lambda: place  # type: ignore[method-assign]
    assert again.sh(f"ls {data}") == "train.csv\n"


def test_what_a_killed_reproduction_left_goes_and_what_is_in_use_stays(project: Project) -> None:
    dead, alive = project.work / "outside-dead", project.work / "outside-alive"
    write(dead, {"0/x": "x"})
    handle = claim(alive)
    write(alive, {"0/x": "x"})
    unfolded = RunDir.create(project.runs, "run")
    unfolded.write("start", {"run": to_dict(run_of(project))})
    assert sweep(project) == 0, "it may hold the outputs of a run that is not folded"
    unfolded.remove()
    assert sweep(project) == 1
    assert [path.name for path in sorted(project.work.iterdir())] == ["outside-alive", "outside-alive.lock"]
    remove_claimed(alive, handle)
    assert list(project.work.iterdir()) == []
