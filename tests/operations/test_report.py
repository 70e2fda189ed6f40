from __future__ import annotations

import json
import os
import re
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.cli import report as report_module
from mltrack.cli.group import invoke
from mltrack.digest import digest_bytes
from mltrack.errors import StorageError, UsageError
from mltrack.formats.metrics import Point
from mltrack.ledger.asking.queries import RunQuery
from mltrack.operations.reporting.previews import Preview
from mltrack.operations.reporting.report import Asked, Material, material
from mltrack.operations.reporting.report_file import keep_report, name_for, show_in_browser
from mltrack.operations.seeing.groups import groups_of
from mltrack.operations.seeing.selection import Choice
from mltrack.operations.series import keep_points
from mltrack.project import Project
from mltrack.records import CodeState, Environment, Resources, Run
from tests.helpers import git_repository, write
from tests.operations.content_made import a_run, id_of, project_with


def png(wide: int, high: int, more: bytes = b"") -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", wide, high) + more


FILES: Mapping[str, bytes] = {
    "a.png": png(4, 4, b"picture a"),
    "bomb.png": png(60_000, 60_000),
    "c.svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "not.png": b"no picture at all",
    "rows.csv": b"".join(b"%d,x,%d\n" % (n, n * n) for n in range(30)),
    "wide.tsv": b"\t".join(b"c%d" % n for n in range(20)) + b"\n" + b"\t".join(b"1" for _ in range(20)),
    "one.json": json.dumps({"acc": 0.9, "name": "<b>"}).encode(),
    "log.txt": b"line\n" * 100,
    "null.txt": b"a\0b",
    "weights.bin": bytes(range(256)),
}
SAID: list[str] = []


def project_of(tmp_path: Path, files: Mapping[str, bytes] = FILES, **changes: Any) -> Project:
    """One run with these artifacts, those of a directory among them, all of them in the store."""
    made = {**files, "out": {"inner/d.png": png(2, 2, b"d"), "e.bin": b"e"}}
    project = project_with(tmp_path / "project", a_run("run", 1, {}, made, **changes))
    for content in (*files.values(), *made["out"].values()):  # type: ignore[union-attr]
        project.store.put_bytes(content)
    project.store.flush()
    return project


def shown(project: Project, **asked: Any) -> dict[str, Preview]:
    (story,) = material(project, Asked(has_plots=False, **asked), SAID.append).stories
    return {one.path: one for one in story.previews}


def test_pictures_texts_and_tables_are_shown_and_nothing_else(tmp_path: Path) -> None:
    with project_of(tmp_path) as project:
        found = shown(project)
    kinds = {path: one.kind for path, one in found.items()}
    assert kinds == {
        "a.png": "picture", "bomb.png": "listed", "c.svg": "picture", "not.png": "text", "rows.csv": "table",
        "wide.tsv": "table", "one.json": "text", "log.txt": "text", "null.txt": "listed", "out/inner/d.png": "picture", "out/e.bin": "listed",
    }  # fmt: skip
    assert found["a.png"].data == FILES["a.png"] and found["a.png"].form == "png"
    assert found["c.svg"].form == "svg+xml"
    assert "pixels" in found["bomb.png"].remark
    assert len(found["rows.csv"].rows) == 11 and found["rows.csv"].remark == "its first 10 rows"
    assert len(found["wide.tsv"].rows[0]) == 12 and "12 of 20 columns" in found["wide.tsv"].remark
    assert found["one.json"].lines[1] == '  "acc": 0.9,'
    assert len(found["log.txt"].lines) == 40 and found["log.txt"].remark == "its first 40 lines"


def test_pictures_beyond_the_size_that_was_asked_for_are_listed(tmp_path: Path) -> None:
    with project_of(tmp_path) as project:
        found = shown(project, max_bytes=len(FILES["a.png"]))
    assert found["a.png"].kind == "picture"
    assert found["c.svg"].kind == "listed" and "--max-size" in found["c.svg"].remark


def test_what_is_not_here_is_said_and_never_fetched_unasked(tmp_path: Path) -> None:
    with project_of(tmp_path) as full:
        run = full.ledger.get(id_of("run"))
        from mltrack.operations.share import push

        remote = tmp_path / "remote"
        write(full.root, {"mltrack.yaml": f"remotes: {{origin: {remote}}}\n"})
        full.reload()
        push(full)
    poor = Path(tmp_path / "poor")
    poor.mkdir()
    write(poor, {"mltrack.yaml": f"remotes: {{origin: {remote}}}\n"})
    with Project.open(poor) as project:
        from mltrack.ledger.ledger import sealed_bytes

        project.ledger.merge_records([sealed_bytes(run)])
        (story,) = material(project, Asked(), SAID.append).stories
        assert story.previews and all("not shown" in one.remark for one in story.previews)
        assert {item.digest for item in run.artifacts} == story.absent
        assert project.store.missing(story.absent) == story.absent
    with Project.open(poor) as project:
        assert shown(project, may_fetch=True)["a.png"].kind == "picture"


def test_damaged_bytes_are_said_and_not_shown(tmp_path: Path) -> None:
    with project_of(tmp_path) as project:
        digest = digest_bytes(FILES["a.png"])
    for pack in (tmp_path / "project/.mltrack/store").rglob("*"):
        data = pack.read_bytes() if pack.is_file() else b""
        if b"picture a" in data:
            pack.chmod(0o600)
            pack.write_bytes(data.replace(b"picture a", b"picture b"))
    with Project.open(tmp_path / "project") as project:
        found = shown(project)["a.png"]
    assert found.kind == "listed" and found.digest == digest and "not shown" in found.remark


def with_points(project: Project, name: str, second: int, values: list[float], **changes: Any) -> Run:
    points = [Point("loss", value, step, second + step) for step, value in enumerate(values)]
    points.append(Point("once", 1.0, 0, second))
    metrics, series = keep_points(project.store, points)
    run, _, _ = a_run(name, second, {}, {}, metrics=metrics, series=series, **changes)
    from mltrack.ledger.ledger import sealed_bytes

    project.store.flush()
    project.ledger.merge_records([sealed_bytes(run)])
    return run  # type: ignore[no-any-return]


def asked_of(project: Project, *words: str, **asked: Any) -> Material:
    return material(project, Asked(Choice(words), **asked), SAID.append)


def test_one_run_two_and_many_have_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    with Project.open(tmp_path / "p") as project:
        for n, name in enumerate("abcd"):
            with_points(
                project, name, n + 1, [1.0, 0.5 / (n + 1), 0.4 / (n + 1)], params={"m": "xy"[n % 2]}, tags=("t",)
            )
        newest = asked_of(project)
        assert [run.id[0] for run in newest.runs] == ["d"]
        assert newest.plot is not None and [panel.title for panel in newest.plot.panels] == ["loss"]  # type: ignore[union-attr]
        assert list(newest.sparks[newest.runs[0].id, "loss"]) == [1.0, 0.125, 0.1]

        two = asked_of(project, "d" + "0" * 15, "b" + "0" * 15)
        assert [run.id[0] for run in two.runs] == ["d", "b"] and two.differences is not None
        queried = asked_of(project, "metrics.loss < 0.15")
        assert [run.id[0] for run in queried.runs] == ["c", "d"], "the older one first"
        against = asked_of(project, "d" + "0" * 15, against="a" + "0" * 15)
        assert [run.id[0] for run in against.runs] == ["a", "d"]

        many = asked_of(project, "tag:t", against="b" + "0" * 15)
        assert many.comparison is not None and many.runs[0].id[0] == "b"
        (by,) = many.groups
        assert (by.param, by.metric) == ("m", "loss") and [one.value for one in by.groups] == [("x",), ("y",)]
        assert many.scatter is not None
        labels = {curve.label for panel in many.plot.panels for curve in panel.curves}  # type: ignore[union-attr]
        assert labels == {f"{run.id[:8]} m={run.params['m']}" for run in many.runs}


def test_seeds_are_bands_and_groups_are_those_of_a_list(tmp_path: Path) -> None:
    tree, digest = CodeState(tree="1" * 40), Environment(digest="b3:" + "2" * 64)
    with Project.open(tmp_path) as project:
        for n in range(6):
            with_points(
                project, f"r{n}", n + 1, [1.0, 0.5, 0.1 + 0.05 * n + n % 2], params={"m": "xy"[n % 2], "seed": n // 2},
                command=("python", "t.py"), code=tree, environment=digest, status="failed" if n == 5 else "finished",
                tags=("baseline",) * (n == 2),
            )  # fmt: skip
        many = asked_of(project, "id ~ r")
        listed = groups_of(project, RunQuery(), ["params.m"], None, SAID.append).groups
    assert [run.id[:2] for run in many.runs] == ["r2", "r0", "r1", "r3", "r4", "r5"], "the oldest first"
    assert [by.param for by in many.groups] == ["m"] and many.scatter is not None
    assert many.scatter.panels[0].x.label == "m"  # type: ignore[union-attr]
    told, wanted = (
        [(one.count, round(one.mean or 0, 12), one.best) for one in (group.metrics["loss"] for group in groups)]
        for groups in (many.groups[0].groups, listed)
    )
    assert told == wanted and [count for count, *_ in told] == [3, 2], "the failed run does not count"
    (panel,) = many.plot.panels  # type: ignore[union-attr]
    assert [(band.label, band.runs) for band in panel.bands] == [("m=x", 3), ("m=y", 3)]  # type: ignore[union-attr]


def test_missing_points_code_and_output_are_sentences(tmp_path: Path) -> None:
    from mltrack.records import Log, MetricSummary

    gone = "b3:" + "7" * 64
    run, used, made = a_run(
        "lost", 1, metrics={"loss": MetricSummary(1.0, 1.0, 2.0, 5, 4)}, series=gone, log=Log(gone, 10),
        code=CodeState("1" * 40, "main", True, "2" * 40, "3" * 40, changed=("x",), packs=(gone,)),
        resources=Resources(series=gone),
    )  # fmt: skip
    other = replace(run, id="9" * 16, code=replace(run.code, tree="4" * 40), created_at="2026-01-02T00:00:00.000000Z")
    with project_with(tmp_path / "p", (run, used, made), (other, used, made)) as project:
        one = asked_of(project, run.id)
        two = asked_of(project, run.id, other.id)
    (story,) = one.stories
    assert story.patch is None and story.log == ()
    assert len(story.missing) == 2 and one.plot is None and "curves are not drawn" in one.missing[0]
    assert two.differences is not None and two.differences.patch is None
    assert "The code of" in two.missing[0]


# -- the file


def test_a_report_is_written_over_and_another_file_is_not(tmp_path: Path) -> None:
    place = tmp_path / "r.md"
    keep_report(place, "<!-- mltrack report -->\none")
    keep_report(place, "<!-- mltrack report -->\ntwo")
    assert place.read_text().endswith("two")
    page = tmp_path / "r.html"
    page.write_text("my own page")
    with pytest.raises(UsageError, match="is no report"):
        keep_report(page, "x")
    assert page.read_text() == "my own page"
    keep_report(page, "x", force=True)
    assert page.read_text() == "x" and sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.md"]


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        keep_report(tmp_path, "x")
    with pytest.raises(UsageError, match="no place"):
        keep_report(tmp_path / "gone/r.html", "x")
    with pytest.raises((UsageError, StorageError)):
        keep_report(Path("/proc/r.html"), "x")
    with pytest.raises(UsageError, match="replaced"):
        keep_report(Path("/dev/null"), "x", force=True)
    (tmp_path / "link.html").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="is no report"):
        keep_report(tmp_path / "link.html", "x")


def test_a_link_to_a_report_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.md").symlink_to("real.md")
    keep_report(tmp_path / "link.md", "<!-- mltrack report -->\none")
    keep_report(tmp_path / "link.md", "<!-- mltrack report -->\ntwo")
    assert (tmp_path / "link.md").is_symlink() and (tmp_path / "real.md").read_text().endswith("two")


def test_the_name_of_a_report_says_what_it_is_of(tmp_path: Path) -> None:
    runs = [a_run(name, 1)[0] for name in ("aa", "bb", "cc")]
    names = [name_for(runs[:many], "md") for many in (1, 2, 3)]
    assert names[:2] == ["report-aa000000.md", "report-aa000000-bb000000.md"]
    assert re.fullmatch(r"report-3-runs-[0-9a-f]{8}\.md", names[2]) and names[2] == name_for(runs, "md")
    assert len({names[2], name_for([*runs[:2], a_run("dd", 1)[0]], "md"), name_for(runs[::-1], "md")}) == 3


@pytest.mark.parametrize(
    ("output", "form", "wanted"),
    [(None, None, "html"), ("-", None, "html"), ("-", "md", "md"), ("a.HTM", None, "html"), ("a.markdown", None, "md"), ("a.txt", "md", "md")],
)  # fmt: skip
def test_the_ending_says_the_format(output: str | None, form: str | None, wanted: str) -> None:
    assert report_module.asked_form(None if output is None else Path(output), form) == wanted


@pytest.mark.parametrize(("output", "form"), [("a.pdf", None), ("a", None), ("a.html", "pdf")])
def test_a_format_that_is_none_is_told(output: str, form: str | None) -> None:
    with pytest.raises(UsageError, match=r"report"):
        report_module.asked_form(Path(output), form)


def test_a_report_is_opened_by_a_browser_that_may_write_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    write(tmp_path, {"browser": f'#!/bin/sh\necho "$1"\necho error >&2\necho "$1" > "{fifo}"\n'})
    (tmp_path / "browser").chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{tmp_path / 'browser'} %s")
    assert show_in_browser(tmp_path / "a b.html"), "and the browser waits for its reader"
    assert fifo.read_text() == f"{(tmp_path / 'a b.html').as_uri()}\n"
    assert capfd.readouterr() == ("", "")


def test_a_real_run_has_its_patch_its_output_and_its_plots(
    tmp_path: Path, command_path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "import mltrack\nfor n in range(5):\n    mltrack.log({'loss': 1 / (n + 1)}, step=n)\nprint('all done')\n"
    root = git_repository(tmp_path / "p", {"train.py": script, ".gitignore": ".mltrack\n"})
    write(root, {"train.py": script + "# edited\n"})
    monkeypatch.setenv("PATH", command_path)
    subprocess.run(["mltrack", "run", "--quiet", "--", "python", "train.py"], cwd=root, check=True)
    monkeypatch.chdir(root)
    assert invoke(["report", "@", "-o", "r.html", "--title", "A <title>"]) == 0
    assert capsys.readouterr().out == "r.html\n"
    text = (root / "r.html").read_text()
    assert "<title>A &lt;title&gt;</title>" in text and "+# edited" in text and "all done" in text
    assert text.count('srcset="data:image/svg+xml;base64,') >= 1
    assert invoke(["report", "-o", "-", "--format", "md", "--plots"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("<!-- mltrack report -->\n### Run `") and "+# edited" in said
    assert any(0x2800 < ord(char) < 0x2900 for char in said), "the plot as text"
