"""Runs whose seed stands in a params file that is part of the code, over real git: alike, if nothing else differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.cli.app import main
from mltrack.operations.find import find_run
from mltrack.operations.plotting.alike_runs import alike_runs
from mltrack.project import Project
from mltrack.records import Run
from tests.helpers import git_repository


def test_a_seed_in_a_params_file_makes_no_runs_unlike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "train:\n  seed: {}\n  lr: 0.1\n"
    git_repository(tmp_path, {"sub/params.yaml": text.format(0), "sub/train.py": "1"})
    top = tmp_path / "sub"
    (top / ".mltrack").mkdir()
    monkeypatch.chdir(top)

    def record(*options: str) -> Run:
        words = ["run", "--quiet", "--env", "system", "--params", "params.yaml", *options, "--", "cat", "params.yaml"]
        assert main(words) == 0, capfd.readouterr().err
        with Project(top) as project:
            return find_run(project, "@")

    runs = [record("--set", "train.seed=1")]
    (top / "params.yaml").write_text(text.format(3))
    runs.append(record())
    assert main(["export", "-o", "runs.json"]) == 0
    runs.append(record())
    assert runs[-1].code.tree == runs[-2].code.tree, "what mltrack wrote is no code"
    (top / "train.py").write_text("2")
    runs.append(record())
    with Project(top) as project:
        keys = [alike_runs(project, runs)[run.id] for run in runs]
        assert len({*keys[:3]}) == 1 and keys[3] != keys[0]
        in_part = [replace(run, declared={"params": ("params.yaml:train",)}) for run in runs]
        assert len({*alike_runs(project, in_part).values()}) == 3, "what else stands in the file is not known"
        gone = [replace(run, code=replace(run.code, packs=("b3:" + "0" * 64,))) for run in runs]
        assert len({*alike_runs(project, gone).values()}) == 3
