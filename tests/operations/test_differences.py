"""What `mltrack diff` finds inside of data, reads of series, and hands to a difftool; from a real store and real git."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.compare.differences import to_json
from mltrack.compare.tables.drift import TableChange
from mltrack.digest import digest_bytes
from mltrack.formats.metrics import Point
from mltrack.operations.differences import EVERYTHING, DataLimits, Wanted, compare
from mltrack.operations.origin.origins import MEMBERS
from mltrack.operations.seeing import data_differences as room
from mltrack.operations.series import keep_points
from mltrack.project import Project
from mltrack.store.members import Members
from mltrack.views.differences import Asked, differences_page
from tests.helpers import write
from tests.operations.content_made import a_run, id_of, project_with

OLD = b"x,label\n" + b"".join(b"%d,%s\n" % (n, b"ab"[n % 2 : n % 2 + 1]) for n in range(100))
NEW = b"x,label,y\n" + b"".join(b"%d,%s,0\n" % (n + 50, b"ac"[n % 2 : n % 2 + 1]) for n in range(120))

DATA = {"t.csv": OLD, "same": b"same", "gone": b"gone!", "at/first": b"moved"}
DATA_NOW = {"t.csv": NEW, "same": b"same", "come": b"come", "at/last": b"moved"}


def filled(root: Path, *contents: bytes, **changes: Any) -> Project:
    """Two runs, `a` and `b`, with a directory and a table that changed; the store has these contents."""
    project = project_with(
        root,
        a_run("a", 0, {"data": DATA}, {"out.csv": OLD}, **changes),
        a_run("b", 10, {"data": DATA_NOW}, {"out.csv": NEW}, **changes),
    )
    for content in contents:
        project.store.put_bytes(content)
    project.store.flush()
    return project


def found_in(project: Project, limits: DataLimits = EVERYTHING) -> Any:
    return compare(project, id_of("a"), id_of("b"), Wanted(data=limits)).differences


def test_a_directory_is_told_by_its_files_and_a_table_by_its_columns(tmp_path: Path) -> None:
    with filled(tmp_path, OLD, NEW) as project:
        found = found_in(project)
    inside = found.data["inputs", "data"]
    assert [(one.path, one.kind) for one in inside.members.files] == [
        ("at/first", "renamed"), ("come", "added"), ("gone", "removed"), ("t.csv", "changed"),
    ]  # fmt: skip
    table = inside.tables["data/t.csv"]
    assert isinstance(table, TableChange)
    assert (table.rows, table.added) == ((100, 120), ("y",))
    assert [(one.name, one.grade) for one in table.columns] == [("x", "far"), ("label", "far")]
    value = to_json(found)
    assert value["inputs"][0]["members"]["renamed"] == 1
    assert value["artifacts"][0]["tables"]["out.csv"]["rows"] == {"a": 100, "b": 120}


def test_what_is_inside_is_told_to_a_person(tmp_path: Path) -> None:
    with filled(tmp_path, OLD, NEW) as project:
        found = compare(project, id_of("a"), id_of("b"), Wanted())
        page = differences_page(found.differences, found.a, found.b, 0.0).render(80, False)
    assert "     →  at/first → at/last  5 B, the same bytes\n" in page
    assert "     1 changed, 1 added, 1 removed, 1 renamed, 1 unchanged\n" in page
    assert "▦ data/t.csv: 100 → 120 rows (+20 %); 1 column added: y\n" in page
    assert (
        "       !  x      moved far\n         higher: mean 49.5 → 109.5 (+1.87 sd), sd 29.011 → 34.785, KS 0.58\n"
        in page
    )
    assert "50.0 % of the values are new; 50.0 % of the old ones are gone" in page


def test_what_is_not_here_is_said_and_nothing_is_fetched(tmp_path: Path) -> None:
    with filled(tmp_path, OLD) as project:
        found = found_in(project)
        assert found.data["artifacts", "out.csv"].tables == {"out.csv": room.NOT_HERE}
        assert to_json(found)["artifacts"][0]["tables"] == {"out.csv": {"skipped": room.NOT_HERE}}
    page = differences_page(found, RUN_A, RUN_A, 0.0).render(80, False)
    assert "Not looked into: its content is not here on both sides" in page


RUN_A = a_run("a", 0)[0]


def test_a_file_of_the_workspace_will_do_while_it_is_what_was_recorded(tmp_path: Path) -> None:
    with filled(tmp_path, OLD) as project:
        write(project.root, {"out.csv": NEW})
        assert isinstance(found_in(project).data["artifacts", "out.csv"].tables["out.csv"], TableChange)
        write(project.root, {"out.csv": NEW.replace(b"50", b"51")})
        assert found_in(project).data["artifacts", "out.csv"].tables["out.csv"] == room.NOT_HERE


def test_the_list_of_a_directory_may_be_remembered_from_an_earlier_look(tmp_path: Path) -> None:
    small, now = {"data/x": b"old content", "data/1": b"1"}, {"data/x": b"new content", "data/2": b"2"}
    runs = a_run("a", 0, {"data": small}), a_run("b", 10, {"data": now})
    with project_with(tmp_path / "p", *runs, keep=False) as project:
        assert found_in(project).data == {}
        with project_with(tmp_path / "q", *runs) as other, Members.open(project.state / MEMBERS) as members:
            members.note([str(run.inputs[0].digest) for run, *_ in runs], "test", "1")
            members.read(other.store)
        inside = found_in(project).data["inputs", "data"].members
    assert [one.path for one in inside.files] == ["data/x"] and inside.is_partial
    page = differences_page(found_in(project), RUN_A, RUN_A, 0.0).render(80, False)
    assert "     1 changed (of those that are remembered)\n" in page


@pytest.mark.parametrize("limits", [DataLimits(table_bytes=10), DataLimits(tables=0), DataLimits(seconds=0)])
def test_what_would_take_long_is_left_out_and_named(tmp_path: Path, limits: DataLimits) -> None:
    with filled(tmp_path, OLD, NEW) as project:
        told = found_in(project, limits).data["artifacts", "out.csv"].tables["out.csv"]
    assert isinstance(told, str) and "--data" in told


def test_a_damaged_table_is_no_end_of_the_comparison(tmp_path: Path) -> None:
    bad, worse = b'a,b\n"open', b"\xff\xfe"
    runs = [
        a_run(name, at, {}, {"t.csv": data, "t.parquet": data}) for name, at, data in (("a", 0, bad), ("b", 9, worse))
    ]
    with project_with(tmp_path, *runs) as project:
        for data in (bad, worse):
            project.store.put_bytes(data)
        project.store.flush()
        found = found_in(project)
    assert all(isinstance(one, str) for inside in found.data.values() for one in inside.tables.values())


def test_the_points_of_a_metric_are_read_where_they_are_here(tmp_path: Path) -> None:
    with filled(tmp_path) as project:
        points = [Point("loss", float(value), value) for value in range(5)] + [Point("few", 1.0, 0)]
        metrics, series = keep_points(project.store, points)
        project.store.flush()
        runs = [
            a_run("c", 20, metrics=metrics, series=series),
            a_run("d", 30, metrics={**metrics, "loss": replace(metrics["loss"], last=9.0)}, series=digest_bytes(b"x")),
        ]
        project_with(tmp_path, *runs).close()
        found = compare(project, id_of("c"), id_of("d"), Wanted(series=9))
    assert found.series == ({"loss": [0.0, 1.0, 2.0, 3.0, 4.0]}, {})
    page = differences_page(found.differences, found.a, found.b, 0.0, Asked(series=found.series)).render(80, False)
    assert "  loss         4  ▁▃▅▇█         9    ▲ +5" in page


def test_a_difftool_sees_both_trees_and_what_it_writes_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.git.difftool import show_trees
    from tests.helpers import git, git_repository

    root = git_repository(tmp_path / "p", {"a.py": "1\n", "same": "same"})
    first = git(root, "rev-parse", "HEAD^{tree}").strip()
    write(root, {"a.py": "2\n", "new dir/b": "b"})
    git(root, "add", "-A")
    second = git(root, "write-tree").strip()
    tool = tmp_path / "tool"
    tool.write_text(
        f'#!/bin/sh\ncat "$1/a.py" "$2/a.py" "$2/new dir/b" > {tmp_path}/seen; echo x > "$2/a.py"; exit 0\n'
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    git(root, "config", "difftool.mine.cmd", f'{tool} "$LOCAL" "$REMOTE"')
    git(root, "config", "diff.tool", "mine")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    trees = [os.fsdecode(one) for one in (first, second)]
    assert show_trees(root / ".git", scratch, trees, None, root) == 0
    assert (tmp_path / "seen").read_text() == "1\n2\nb"
    assert (root / "a.py").read_text() == "2\n"
    assert show_trees(root / ".git", tmp_path_of(tmp_path), trees, "no-such-tool", root) != 0


def tmp_path_of(root: Path) -> Path:
    (root / "again").mkdir()
    return root / "again"


def captured(project: Project, repository: Path) -> Any:
    """The code state of a worktree, in the project's store."""
    from mltrack.git.capture import Limits
    from mltrack.git.repository import find_repository
    from mltrack.snapshot.code import capture_code, keep_code

    repo = find_repository(repository)
    assert repo is not None
    taken = capture_code(repo, lambda: project.store, Limits(10 << 20, 100 << 20), lambda path: False)
    return keep_code(taken.code, dict(taken.objects), project.store, [])


def test_data_that_git_tracks_is_looked_into(tmp_path: Path) -> None:
    from tests.helpers import git_repository

    root = git_repository(
        tmp_path / "code",
        {
            "train.py": "1\n",
            "d/t.csv": OLD,
            "d/crlf.csv": OLD,
            ".gitattributes": "d/crlf.csv text\n",
            "d/old.npy": "0",
            "d/lfs.csv": "version https://git-lfs.github.com/spec/v1\n",
        },
    )
    with project_with(tmp_path / "p") as project:
        then = captured(project, root)
        write(
            root,
            {
                "train.py": "2\n",
                "d/t.csv": NEW,
                "d/crlf.csv": NEW.replace(b"\n", b"\r\n"),
                "d/new.png": "x",
                "d/lfs.csv": "version https://git-lfs.github.com/spec/v1\nx\n",
            },
        )
        (root / "d/old.npy").unlink()
        now = captured(project, root)
        project_with(tmp_path / "p", a_run("a", 0, code=then), a_run("b", 10, code=now)).close()
        found, none = found_in(project), found_in(project, DataLimits(table_bytes=10))
    assert now.raw is not None
    value = to_json(found)["tracked_data"]
    assert {one["path"]: one["kind"] for one in value["files"]} == {
        "d/t.csv": "changed", "d/crlf.csv": "changed", "d/lfs.csv": "changed", "d/old.npy": "removed", "d/new.png": "added",
    }  # fmt: skip
    sizes = {one["path"]: (one["a_bytes"], one["b_bytes"]) for one in value["files"]}
    assert sizes["d/crlf.csv"] == (len(OLD), len(NEW) + NEW.count(b"\n")) and sizes["d/new.png"] == (None, 1)
    assert value["tables"]["d/t.csv"]["rows"] == value["tables"]["d/crlf.csv"]["rows"] == {"a": 100, "b": 120}
    assert value["tables"]["d/t.csv"]["columns_added"] == ["y"]
    assert "pointer of git-lfs" in value["tables"]["d/lfs.csv"]["skipped"]
    assert all(
        "--data" in to_json(none)["tracked_data"]["tables"][name]["skipped"] for name in ("d/t.csv", "d/crlf.csv")
    )


def test_loading_what_reads_parquet_is_no_part_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from mltrack.compare.tables import read

    monkeypatch.setattr(read, "get_ready", lambda path: time.sleep(0.1))
    with filled(tmp_path, OLD, NEW) as project:
        found = found_in(project, DataLimits(seconds=0.09))
    assert isinstance(found.data["artifacts", "out.csv"].tables["out.csv"], TableChange)


def test_a_column_without_a_name_is_told_as_that(tmp_path: Path) -> None:
    from mltrack.compare.contents.contents import Held
    from mltrack.compare.tables.drift import of_tables
    from mltrack.compare.tables.read import read_table
    from mltrack.views.diff.data import table_words

    sides = [read_table("t.csv", Held(data)) for data in (b"a\nx\n", b"a,,\nx,1,2\n")]
    assert list(table_words(of_tables(*sides))) == ["1 row", "2 columns added: (no name), (no name) (2)"]
