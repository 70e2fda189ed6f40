"""The finer points of `import mltrack` inside a run: names, kinds of values, artifacts, other interpreters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.formats.metrics import read_journal, read_params_journal
from tests.inside.test_client import INSIDE, lines, python


def interpreters() -> list[str]:
    """This interpreter, and others from 3.8 on that are installed."""
    managed = Path(os.environ.get("PYENV_ROOT", "/nonexistent")).glob("versions/3.*/bin/python3.[0-9]*[0-9]")
    named = [shutil.which(f"python3.{minor}") for minor in range(8, 20)]
    found = [path for path in [*map(str, managed), *named] if path and "/shims/" not in path]
    return [sys.executable, *(path for path in found if int(path.rpartition("3.")[2]) >= 8)]


def test_a_step_among_the_numbers_is_the_step(tmp_path: Path) -> None:
    python(
        tmp_path, "import mltrack; mltrack.log({'step': 7, 'loss': 0.5}); mltrack.log({'step': 7, 'loss': 0.5}, step=8)"
    )
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(7, 0.5), (8, 0.5)]


def test_a_metric_cannot_hide_the_time_of_its_point(tmp_path: Path) -> None:
    done = python(tmp_path, "import mltrack; mltrack.log({'t': 1, 'loss': 0.5})")
    assert float(str(lines(tmp_path)[0]["t"])) > 1.7e9
    assert "called t" in done.stderr


def test_tables_give_names_with_dots(tmp_path: Path) -> None:
    python(tmp_path, "import mltrack; mltrack.log({'val': {'loss': 0.5, 'top': {'1': 0.9}}})")
    points = {point.name: point.value for point in read_journal(tmp_path / "metrics.jsonl")}
    assert points == {"val.loss": 0.5, "val.top.1": 0.9}


def test_odd_names_and_numbers_are_read_back(tmp_path: Path) -> None:
    code = (
        "import mltrack, decimal, fractions\n"
        "mltrack.log({'a\"b\\n': 1, '\\u00e9 \\udcff': 2.5, 'big': 10 ** 30, 'd': decimal.Decimal('0.1'),"
        " 'f': fractions.Fraction(1, 4), 'e': 1e-300, 7: True}, step=0.5)"
    )
    assert python(tmp_path, code).stderr == ""
    [line] = lines(tmp_path)
    assert line["step"] == 0.5
    del line["step"], line["t"]
    assert line == {'a"b\n': 1, "é \udcff": 2.5, "big": 10**30, "d": 0.1, "f": 0.25, "e": 1e-300, "7": 1}


def test_what_is_no_table_stops_nothing(tmp_path: Path) -> None:
    code = (
        "import mltrack\nmltrack.log(None); mltrack.log(3); mltrack.log([1]); mltrack.log({'a': None, 'b': [1, 2]}, step='x')\n"
        "mltrack.log_params(3); mltrack.log_artifact(3); mltrack.log_artifact('no such file'); print('on')"
    )
    done = python(tmp_path, code)
    assert done.stdout == "on\n"
    assert "Traceback" not in done.stderr
    assert "no such file" in done.stderr


def test_params_of_any_kind_are_read_back(tmp_path: Path) -> None:
    code = (
        "import mltrack, argparse, pathlib\n"
        "mltrack.log_params(argparse.Namespace(lr=0.1, path=pathlib.Path('a/b'), flag=None))\n"
        "mltrack.log_params({'model': {'depth': 3}, 'bad': float('nan'), 'kinds': {'b', 'a'}})"
    )
    assert python(tmp_path, code).stderr == ""
    assert lines(tmp_path, "params.jsonl")[0] == {"lr": 0.1, "path": "a/b", "flag": None}
    params = read_params_journal(tmp_path / "params.jsonl")
    assert (params["model.depth"], params["bad"], params["lr"]) == (3, "NaN", 0.1)


def test_a_program_that_closes_all_descriptors_logs_on(tmp_path: Path) -> None:
    code = "import mltrack, os\nmltrack.log({'a': 1})\nos.closerange(3, 1000)\nmltrack.log({'a': 2})\nmltrack.log_params({'b': 3})"
    assert python(tmp_path, code).stderr == ""
    assert [line["a"] for line in lines(tmp_path)] == [1, 2]
    assert lines(tmp_path, "params.jsonl") == [{"b": 3}]


def test_the_same_artifact_again_replaces_the_first(tmp_path: Path) -> None:
    code = (
        "import mltrack, os, pathlib\nd = pathlib.Path('ckpt'); d.mkdir()\n(d / 'old').write_text('1')\n"
        "mltrack.log_artifact(d)\n(d / 'old').unlink(); (d / 'new').write_text('2'); mltrack.log_artifact(d)\n"
        "pathlib.Path('f').write_text('1'); os.chmod('f', 0o755); mltrack.log_artifact('f')\n"
        "pathlib.Path('f').write_text('2'); mltrack.log_artifact('f')\n"
        "mltrack.log_artifact(pathlib.Path(os.environ['MLTRACK_ARTIFACTS']) / 'f')\n"
    )
    assert python(tmp_path, code).stderr == ""
    artifacts = tmp_path / "artifacts"
    assert sorted(path.name for path in artifacts.rglob("*")) == ["ckpt", "f", "new"]
    assert (artifacts / "f").read_text() == "2"
    assert os.access(artifacts / "f", os.X_OK)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".artifact-")]


def test_links_in_an_artifact_stay_links(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    code = "import mltrack, os\nos.mkdir('d'); os.symlink('../secret', 'd/link'); mltrack.log_artifact('d')"
    python(tmp_path, code)
    assert os.readlink(tmp_path / "artifacts" / "d" / "link") == "../secret"


@pytest.mark.parametrize("name", ["/etc/x", "a/../../x", "", ".", "..", "a//b", "out/x"])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "artifacts" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "w").write_text("w")
    python(tmp_path, f"import mltrack; mltrack.log_artifact('w', {name!r})")
    kept = {path.name for path in (tmp_path / "artifacts").iterdir()}
    assert kept == ({"out", "w"} if name == "" else {"out"})
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_run_that_is_over_is_no_trouble(tmp_path: Path) -> None:
    done = python(
        tmp_path,
        "import mltrack; mltrack.log({'a': 1}); print('on')",
        False,
        MLTRACK_METRICS=str(tmp_path / "gone" / "m"),
    )
    assert done.stdout == "on\n"
    assert done.stderr.count("\n") == 1


def test_the_command_line_that_is_not_installed_says_so(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(INSIDE), "PATH": os.environ["PATH"]}
    words = [sys.executable, "-S", "-m", "mltrack", "ls"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("mltrack: the command line is not installed for ")
    assert "Traceback" not in done.stderr


def test_other_interpreters_log_too(tmp_path: Path) -> None:
    code = "import mltrack; mltrack.log({'a': 1.5}, step=1); print(mltrack.__version__)"
    for count, interpreter in enumerate(interpreters(), 1):
        environment = {**os.environ, "PYTHONPATH": str(INSIDE), "MLTRACK_METRICS": str(tmp_path / "metrics.jsonl")}
        done = subprocess.run([interpreter, "-S", "-W", "error", "-c", code], env=environment, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b""), interpreter
        assert len(lines(tmp_path)) == count
