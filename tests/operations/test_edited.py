"""Code that somebody edits while a run is at work, and files that others write meanwhile, are none of the run's."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.helpers import git_repository, write

TRAIN = """
import os, time
open("state.txt", "a").write("+")
open("started", "w").close()
print("trained", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
"""


def edit_when_started(root: Path) -> None:
    while not (root / "started").exists():
        time.sleep(0.01)
    write(root, {"util.py": "A = 2\n", "same.py": "B = 1\n", "tee.log": "of another program", "go": ""})


def test_an_edit_while_the_run_works_is_said_and_is_neither_an_artifact_nor_taken_again(
    tmp_path: Path, command_path: str
) -> None:
    from mltrack.project import Project

    files = {
        "train.py": TRAIN,
        "util.py": "A = 1\n",
        "same.py": "B = 1\n",
        "state.txt": "",
        ".gitignore": "go\n*.log\n",
    }
    root = git_repository(tmp_path / "work", files)
    other = threading.Thread(target=edit_when_started, args=(root,))
    other.start()
    with open(root / "train.txt", "w") as log:
        command = ["mltrack", "run", "--", "python", "train.py"]
        where = {**os.environ, "PATH": command_path}
        subprocess.run(command, cwd=root, env=where, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
    other.join()
    with Project.get(root) as project:
        run = project.ledger.get(project.ledger.resolve("@", []))
        assert run.observation is not None and run.observation.complete
        (warning,) = [one for one in run.warnings if one.kind == "code-changed"]
        assert "util.py" in warning.message and "same.py" not in warning.message and "state" not in warning.message
        assert run.fingerprint is None
        assert run.preflight is not None and run.preflight.grade == "D"
        assert {item.path for item in run.artifacts} == {"state.txt", "started"}, "the shell's log, tee's, the edit: no"
    assert "warning: Edited while the run was at work" in (root / "train.txt").read_text()


@pytest.mark.parametrize("declared", [(), ("util.py",)])
def test_where_not_all_was_watched_it_is_said_that_nobody_knows_who_wrote_it(
    tmp_path: Path, declared: tuple[str, ...]
) -> None:
    from mltrack.git.capture import Limits, capture
    from mltrack.git.changes import list_files
    from mltrack.git.repository import find_repository
    from mltrack.operations.running.edited import edited_code

    root = git_repository(tmp_path / "work", {"util.py": "A = 1\n", "gone.py": "", "notes.txt": "1"})
    repository = find_repository(root)
    assert repository is not None
    captured = capture(repository, Limits(1 << 20, 1 << 20), lambda path: False, lambda path, file: "")
    write(root, {"util.py": "A = 2\n"})
    (root / "gone.py").unlink()
    plan = SimpleNamespace(
        place=SimpleNamespace(repository=repository, root=root),
        declared=SimpleNamespace(outputs=declared, metrics=(), inputs=()),
    )
    recording = cast(Any, SimpleNamespace(captured=captured, plan=plan))
    (warning,) = edited_code(recording, None, list_files(repository))
    assert warning.kind == "writer-unknown"
    names = "gone.py" if declared else "gone.py, util.py"
    assert warning.message.endswith(f"cannot be told: {names}.")


def test_what_cannot_be_kept_is_called_by_its_whole_name(tmp_path: Path) -> None:
    from mltrack.collect.artifacts import Written, keep_artifacts
    from mltrack.store.objects import Store

    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/link").symlink_to("/etc")
    written = [Written(name, tmp_path / name, "observed") for name in ("out", "deep")]
    with Store.open(tmp_path / "store") as store:
        warnings = keep_artifacts(written, store, cast(Any, None))[1]
    assert [one.message.partition(":")[0] for one in warnings] == ["out", "deep/link"]
