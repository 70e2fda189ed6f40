"""`import mltrack` in the user's own process: what it logs, what it survives, and that it does nothing outside a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mltrack

INSIDE = Path(mltrack.__file__).parent / "inside"


def python(tmp_path: Path, code: str, in_run: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a bare interpreter (no site-packages) that has only `inside/` on its path."""
    environment = {"PYTHONPATH": str(INSIDE), "PATH": os.environ["PATH"], **variables}
    if in_run:
        (tmp_path / "artifacts").mkdir(exist_ok=True)
        environment |= {
            "MLTRACK_RUN_ID": "0123456789abcdef",
            "MLTRACK_METRICS": str(tmp_path / "metrics.jsonl"),
            "MLTRACK_PARAMS": str(tmp_path / "params.jsonl"),
            "MLTRACK_ARTIFACTS": str(tmp_path / "artifacts"),
        }
    return subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )


def lines(tmp_path: Path, name: str = "metrics.jsonl") -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]


def test_points_are_lines_of_json(tmp_path: Path) -> None:
    code = "import mltrack; mltrack.log({'loss': 0.5, 'n': 3}, step=2); mltrack.log_metric('ok', True)"
    done = python(tmp_path, code)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = lines(tmp_path)
    assert (first["step"], first["loss"], first["n"]) == (2, 0.5, 3)
    assert float(str(first["t"])) > 1.7e9
    assert second["ok"] in (1, True) and "step" not in second


def test_what_is_not_finite_is_a_name(tmp_path: Path) -> None:
    python(tmp_path, "import mltrack; mltrack.log({'a': float('nan'), 'b': float('inf'), 'c': -float('inf')})")
    assert {key: lines(tmp_path)[0][key] for key in "abc"} == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}


def test_a_value_that_is_no_number_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    code = "import mltrack\nfor _ in range(3): mltrack.log({'a': 'text', 'b': 1.0})\nprint('done')"
    done = python(tmp_path, code)
    assert done.stdout == "done\n"
    assert done.stderr.count("mltrack") == 1
    assert [line["b"] for line in lines(tmp_path)] == [1.0, 1.0, 1.0]


def test_scalars_of_array_libraries_are_numbers(tmp_path: Path) -> None:
    code = "import mltrack\nclass Scalar:\n    def item(self): return 0.25\n    def __float__(self): return 0.25\nmltrack.log({'a': Scalar()})"
    python(tmp_path, code)
    assert lines(tmp_path)[0]["a"] == 0.25


def test_a_kill_loses_no_point_that_was_logged(tmp_path: Path) -> None:
    code = "import mltrack, os\nfor step in range(1000): mltrack.log({'a': step}, step=step)\nos.kill(os.getpid(), 9)"
    assert python(tmp_path, code).returncode == -9
    assert len(lines(tmp_path)) == 1000


def test_forked_processes_and_threads_mix_no_lines(tmp_path: Path) -> None:
    code = (
        "import mltrack, os, threading\n"
        "def work(name):\n    for step in range(300): mltrack.log({name: 0.123456789}, step=step)\n"
        "children = []\n"
        "for name in ('a', 'b'):\n    pid = os.fork()\n    if pid == 0:\n        work(name); os._exit(0)\n    children.append(pid)\n"
        "threads = [threading.Thread(target=work, args=(name,)) for name in ('c', 'd')]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "[os.waitpid(pid, 0) for pid in children]\n"
    )
    assert python(tmp_path, code).stderr == ""
    found = lines(tmp_path)
    assert {name: sum(name in line for line in found) for name in "abcd"} == dict.fromkeys("abcd", 300)


def test_params_and_artifacts_are_kept(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x").write_text("1")
    code = (
        "import mltrack; mltrack.log_params({'lr': 0.1, 'layers': [1, 2]})\n"
        "open('w.bin', 'w').write('w'); mltrack.log_artifact('w.bin'); mltrack.log_artifact('tree', 'kept/tree')\n"
    )
    done = python(tmp_path, code)
    assert done.stderr == ""
    assert lines(tmp_path, "params.jsonl") == [{"lr": 0.1, "layers": [1, 2]}]
    assert (tmp_path / "artifacts" / "w.bin").read_text() == "w"
    assert (tmp_path / "artifacts" / "kept" / "tree" / "x").read_text() == "1"


def test_an_artifact_cannot_leave_its_directory(tmp_path: Path) -> None:
    done = python(tmp_path, "import mltrack; open('w', 'w').write('w'); mltrack.log_artifact('w', '../escaped')")
    assert done.returncode == 0
    assert not (tmp_path / "escaped").exists()


def test_outside_of_a_run_everything_does_nothing(tmp_path: Path) -> None:
    code = (
        "import mltrack; mltrack.log({'a': 1}); mltrack.log_params({'b': 1}); mltrack.log_artifact('none')\n"
        "with mltrack.start_run() as run: run.log_metric('c', 1.0, step=1)\n"
        "print(mltrack.run_id())\n"
    )
    done = python(tmp_path, code, in_run=False)
    assert (done.stdout, done.stderr, done.returncode) == ("None\n", "", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    done = python(
        tmp_path,
        "import mltrack\nfor _ in range(3): mltrack.log({'a': 1})\nprint('done')",
        MLTRACK_METRICS="/dev/full",
        in_run=False,
    )
    assert done.stdout == "done\n"
    assert done.stderr.count("\n") == 1


def test_the_whole_package_is_found_through_it(tmp_path: Path) -> None:
    code = (
        "import mltrack, mltrack.records; print(mltrack.__file__.endswith('inside/mltrack.py'), mltrack.records.SCHEMA)"
    )
    assert python(tmp_path, code).stdout == "True 1\n"


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "mltrack", "--version"],
        ["-c", "from mltrack.__main__ import main; import sys; sys.argv = ['x', '--version']; main()"],
    ],
)
def test_a_nested_command_works(tmp_path: Path, words: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(INSIDE)}
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("mltrack "), done.stderr
