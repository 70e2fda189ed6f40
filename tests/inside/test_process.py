"""What a process of a run tells at its end, and that the program cannot tell that it does."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mltrack

INSIDE = Path(mltrack.__file__).parent / "inside"
USERS = "import sys\nsys.users_own = sys.path[:], [entry for entry in sys.modules if entry == __name__]\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of modules on the PYTHONPATH."""
    place = tmp_path / "site"
    (place / "space" / "part").mkdir(parents=True)
    (place / "small").mkdir()
    (place / "whole").mkdir()
    (place / "space" / "part" / "__init__.py").write_text("# " + "x" * 500)
    (place / "space" / "part" / "inner.py").write_text("")
    (place / "small" / "__init__.py").write_text("")
    (place / "small" / "one.py").write_text("")
    (place / "whole" / "__init__.py").write_text("# " + "x" * 500)
    (place / "whole" / "one.py").write_text("")
    (place / "single.py").write_text("")
    (place / "late.py").write_text("")
    return place


def start(
    tmp_path: Path, *words: str, python: str = sys.executable, path: tuple[Path, ...] = (INSIDE,), **more: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "run").mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MLTRACK_RUN_DIR": str(tmp_path / "run"),
        "PYTHONDONTWRITEBYTECODE": "1",  # Python 2 would leave a file beside ours
        "PYTHONPATH": os.pathsep.join([*map(str, path), str(tmp_path / "site")]),
        **more,
    }
    return subprocess.run([python, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "run").glob("processes/*"))


def told(tmp_path: Path) -> list[dict[str, Any]]:
    assert {path.suffix for path in files(tmp_path)} <= {".json"}
    return [json.loads(path.read_bytes()) for path in files(tmp_path)]


def test_a_process_tells_what_it_imported(tmp_path: Path, site: Path) -> None:
    done = start(tmp_path, "-c", "import space.part.inner, small.one, whole.one, single, json, ctypes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (one,) = told(tmp_path)
    ours = {name: file for name, file in one["modules"].items() if file.startswith(str(site))}
    assert ours == {
        "single": str(site / "single.py"),
        "small": str(site / "small/__init__.py"),
        "small.one": str(site / "small/one.py"),
        "space.part": str(site / "space/part/__init__.py"),
        "whole": str(site / "whole/__init__.py"),
    }
    assert not {"json", "ctypes", "mltrack", "_distutils_hack"} & set(one["modules"])
    assert (one["executable"], one["started"], one["forked"]) == (sys.executable, "code", False)
    assert one["python"] == "%d.%d.%d" % sys.version_info[:3]


def test_a_script_that_fails_tells_too_and_says_how_it_was_started(tmp_path: Path, site: Path) -> None:
    (tmp_path / "a.py").write_text("import single\n1 / 0\n")
    assert "ZeroDivisionError" in start(tmp_path, "a.py").stderr
    start(tmp_path, "-m", "single")
    assert sorted((one["started"], one["program"]) for one in told(tmp_path)) == [
        ("module", "single"),
        ("script", "a.py"),
    ]


def test_outside_of_a_run_nothing_is_written(tmp_path: Path, site: Path) -> None:
    assert start(tmp_path, "-c", "import single", MLTRACK_RUN_DIR="").stderr == ""
    assert files(tmp_path) == []


def test_a_name_in_the_programs_own_directory_is_not_imported_by_us(tmp_path: Path) -> None:
    for name in ("json", "tempfile", "warnings", "random"):
        (tmp_path / f"{name}.py").write_text("print('imported', __name__)\n")
    (tmp_path / "a.py").write_text("print('ran')\n")
    assert start(tmp_path, "a.py").stdout == "ran\n"
    assert len(told(tmp_path)) == 1


def test_a_module_that_loads_what_it_is_asked_for_is_not_asked(tmp_path: Path, site: Path) -> None:
    (site / "lazy.py").write_text(
        "def __getattr__(name):\n    print('asked for', name)\n    raise AttributeError(name)\n"
    )
    code = "import lazy, sys, types\nclass Strange(types.ModuleType):\n    def __getattribute__(self, name):\n        print('asked')\n"
    done = start(tmp_path, "-c", code + "sys.modules['torch'] = Strange('torch'); sys.modules['numpy'] = 7")
    assert "lazy" in told(tmp_path)[0]["modules"]
    assert "asked for __file__" not in done.stdout


# What the program sees


SEEN = "import sys, atexit; print(sys.path, sorted(sys.modules), [type(one) for one in sys.meta_path])"


def seen(tmp_path: Path, *path: Path, code: str = SEEN) -> str:
    """What a program prints that is started with and without us, on a path of the same names."""
    done = start(tmp_path, "-c", code, path=path)
    text = f"{done.returncode} {done.stdout}{done.stderr}".replace(str(tmp_path / "nothing"), "")
    ours = rf'  File "{INSIDE}/sitecustomize.py", line .*\n( .*import sitecustomize.*\n( +\^+\n)?)?'
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(ours, "", text).replace(str(INSIDE), ""))


@pytest.mark.parametrize("own", [None, USERS, "import nowhere\n", "1 / 0\n", "raise SystemExit(3)\n", "import sys; sys.path.insert(1, 'x')\n", "import sys; del sys.modules[__name__]\n"])  # fmt: skip
def test_the_program_sees_what_it_would_see_without_us(tmp_path: Path, site: Path, own: str | None) -> None:
    (tmp_path / "nothing").mkdir()
    if own is not None:
        (site / "sitecustomize.py").write_text(own)
    code = f"{SEEN}\nprint(getattr(sys, 'users_own', None))\ntry:\n    import sitecustomize; print(sitecustomize)\nexcept ImportError as error: print(repr(error), error.name)\nimport importlib.util; print(importlib.util.find_spec('sitecustomize'))"
    without = seen(tmp_path, tmp_path / "nothing", code=code)
    assert files(tmp_path) == []
    assert seen(tmp_path, INSIDE, code=code) == without
    assert len(files(tmp_path)) == 1


def test_the_users_own_in_a_package_directory_and_as_a_package_runs(tmp_path: Path, site: Path) -> None:
    (site / "sitecustomize").mkdir()
    (site / "sitecustomize" / "__init__.py").write_text("from sitecustomize import inner\n")
    (site / "sitecustomize" / "inner.py").write_text("import sys; sys.inner = True\n")
    assert (
        start(tmp_path, "-c", "import sys, sitecustomize; print(sys.inner, sitecustomize.inner)").stdout[:4] == "True"
    )


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_an_interpreter_that_ignores_us_works_as_ever(tmp_path: Path, flag: str) -> None:
    done = start(tmp_path, flag, "-c", "print('ran')")
    assert (done.stdout, done.stderr, files(tmp_path)) == ("ran\n", "", [])


def test_two_mltracks_one_in_the_other_do_not_chase_each_other(tmp_path: Path, site: Path) -> None:
    (tmp_path / "other").symlink_to(INSIDE)
    (site / "sitecustomize.py").write_text(USERS)
    done = start(tmp_path, "-c", "import sys; print(len(sys.users_own))", path=(INSIDE, tmp_path / "other"))
    assert (done.stdout, done.stderr) == ("2\n", "")


def interpreters() -> list[str]:
    """Other versions of Python, where pyenv has them."""
    root = Path(os.environ.get("PYENV_ROOT") or Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pyenv")
    return sorted(str(path) for path in root.glob("versions/*/bin/python"))


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).parts[-3])
def test_every_python_starts_as_ever(tmp_path: Path, site: Path, python: str) -> None:
    code = "import sys, single; print(getattr(sys, 'users_own', None) is not None)"
    done = start(tmp_path, "-c", code, python=python)
    assert (done.stdout, done.stderr) == ("False\n", "")
    if Path(python).parts[-3].startswith("3."):
        assert "single" in told(tmp_path)[0]["modules"]
    (site / "sitecustomize.py").write_text(USERS)
    done = start(tmp_path, "-c", code, python=python)
    assert (done.stdout, done.stderr) == ("True\n", "")


# Places that cannot be written


def test_a_run_directory_that_is_gone_is_no_concern_of_the_program(tmp_path: Path) -> None:
    done = start(tmp_path, "-c", "import shutil, os; shutil.rmtree(os.environ['MLTRACK_RUN_DIR'])")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "run").exists()
    done = start(tmp_path, "-c", "print(1)", MLTRACK_RUN_DIR=str(tmp_path / "nowhere"))
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_full_disk_or_a_file_in_the_way_is_none_either(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "processes").symlink_to("/dev/full")
    done = start(tmp_path, "-c", "print(1)")
    assert (done.stdout, done.stderr) == ("1\n", "")
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))"
    (tmp_path / "run" / "processes").unlink()
    done = start(tmp_path, "-c", code)
    assert (done.stdout, done.stderr, files(tmp_path)) == ("", "", [])


# Children


def test_a_process_that_is_killed_leaves_its_mark(tmp_path: Path) -> None:
    done = start(tmp_path, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == -signal.SIGKILL
    assert [path.suffix for path in files(tmp_path)] == [".began"]


def test_a_process_that_becomes_another_leaves_its_mark_under_the_same_number(tmp_path: Path) -> None:
    start(tmp_path, "-c", f"import os; os.execv({sys.executable!r}, ['python', '-c', 'pass'])")
    first, second = files(tmp_path)
    assert {first.suffix, second.suffix} == {".began", ".json"}
    assert first.name.partition("-")[0] == second.name.partition("-")[0]


def test_a_forked_child_tells_what_it_imported_itself(tmp_path: Path, site: Path) -> None:
    code = "import os, sys, single\nif os.fork() == 0:\n    import late\n    sys.exit()\nos.wait()\nif os.fork() == 0: sys.exit()\nos.wait()"
    assert start(tmp_path, "-c", code).stderr == ""
    parent, child = sorted(told(tmp_path), key=lambda one: one["forked"])
    assert "single" in parent["modules"] and "late" not in parent["modules"]
    assert list(child["modules"]) == ["late"]


POOL = """
import multiprocessing, sys
def work(number):
    import late
    return number
def own():
    import small.one
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(sum(pool.map(work, range(4))))
        pool.close()
        pool.join()
    process = context.Process(target=own)
    process.start()
    process.join()
    print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_tell(tmp_path: Path, site: Path, method: str) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    done = start(tmp_path, "pool.py", method)
    assert (done.stdout, done.stderr) == ("6\n0\n", "")
    modules = {
        name for path in files(tmp_path) if path.suffix == ".json" for name in json.loads(path.read_bytes())["modules"]
    }
    assert {"late", "small.one"} <= modules


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).parts[-3])
def test_children_tell_in_every_version(tmp_path: Path, site: Path, python: str) -> None:
    version = tuple(map(int, Path(python).parts[-3].split(".")[:2]))
    if version < (3, 7):
        pytest.skip("a fork cannot be noticed")
    (tmp_path / "pool.py").write_text(POOL)
    assert start(tmp_path, "pool.py", "fork", python=python).stderr == ""
    assert "late" in {name for one in told(tmp_path) for name in one["modules"]}


def test_mltrack_itself_does_not_tell(tmp_path: Path) -> None:
    assert start(tmp_path, "-m", "mltrack", "--help").returncode == 0
    assert files(tmp_path) == []


# What moves numbers


def test_numpys_linear_algebra_is_named(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    start(
        tmp_path,
        "-c",
        "import os, numpy; numpy.ones((9, 9)) @ numpy.ones((9, 9)); os.environ['OMP_NUM_THREADS'] = '3'",
        OPENBLAS_NUM_THREADS="1",
    )
    (one,) = told(tmp_path)
    assert one["facts"]["blas"]
    if "openblas" in one["facts"].get("blas.files", ""):
        assert one["facts"]["blas.threads"] == "1"
        assert one["facts"]["blas.kernel"]
    assert one["variables"] == {"OMP_NUM_THREADS": "3"}


def test_what_cannot_be_asked_is_left_out_and_the_rest_is_told(tmp_path: Path, site: Path) -> None:
    code = "import sys, types, warnings, single\nfor name in ('ctypes', 'torch', 'jax', 'tensorflow', 'numpy', 'sklearn.utils._openmp_helpers'):\n    sys.modules[name] = types.ModuleType(name)\ndel warnings.catch_warnings"
    done = start(tmp_path, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert "single" in told(tmp_path)[0]["modules"]


@pytest.mark.needs("torch")
def test_the_switches_of_torch_are_told(tmp_path: Path) -> None:
    code = "import torch\ntorch.use_deterministic_algorithms(True)\ntorch.set_num_threads(1)\ntorch.set_float32_matmul_precision('high')\ntorch.backends.cudnn.benchmark = True"
    done = start(tmp_path, "-W", "error", "-c", code)
    assert done.stderr == ""
    facts = told(tmp_path)[0]["facts"]
    expected = {
        "torch.threads": "1",
        "torch.deterministic": "True",
        "torch.matmul_precision": "high",
        "torch.cudnn.benchmark": "True",
        "torch.dtype": "torch.float32",
    }
    assert {key: facts.get(key) for key in expected} == expected
    assert facts["torch"] and facts["torch.git"]
