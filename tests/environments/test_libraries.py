from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import mltrack
from mltrack.collect.imports import libraries, read_processes
from mltrack.environments.libraries import merged, of_machine, of_packages
from tests.helpers import write

SITE = Path(sysconfig.get_path("purelib"))

NUMPY = """
CONFIG = _cleanup({
    "Build Dependencies": {
        "blas": {
            "name": "scipy-openblas",
            "found": bool("True".lower().replace('false', '')),
            "version": "0.3.29",
        },
        "lapack": {"name": "other", "version": "9"},
    },
})
"""
TORCH = "from typing import Optional\n__version__ = '2.6.0+cu124'\ndebug = False\ncuda: Optional[str] = '12.4'\ngit_version = 'abc'\nhip: Optional[str] = None\n"


def test_the_c_library_of_this_machine_is_named() -> None:
    kind, version = platform.libc_ver()
    assert of_machine() == ({"glibc": version} if kind == "glibc" else {})


def test_wheels_are_looked_into(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "numpy/__config__.py": NUMPY,
            "numpy.libs/libscipy_openblas64_-ff651d7f.so": "",
            "numpy.libs/libgfortran-1.so": "",
            "scipy.libs/libscipy_openblas-68440149.so": "",
            "torch/version.py": TORCH,
            "tensorflow/python/platform/build_info.py": "build_info = OrderedDict([('cuda_version', '12.5.1'), ('cudnn_version', '9')])",
        },
    )
    packages = {
        "numpy": "2.2", "scipy": "1", "torch": "2.6.0+cu124", "nvidia-cudnn-cu12": "9.1.0.70",
        "nvidia-cuda-runtime-cu12": "12.4.127", "nvidia-cuda-nvrtc-cu12": "1", "tensorflow-cpu": "2",
    }  # fmt: skip
    assert of_packages(packages, [tmp_path / "nowhere", tmp_path]) == {
        "blas": "scipy-openblas 0.3.29",
        "blas.files": "libscipy_openblas-68440149.so, libscipy_openblas64_-ff651d7f.so",
        "cuda": "12.4.127",
        "cudnn": "9.1.0.70",
        "tensorflow.cuda": "12.5.1",
        "tensorflow.cudnn": "9",
        "torch": "2.6.0+cu124",
        "torch.cuda": "12.4",
        "torch.git": "abc",
    }


def test_what_is_not_installed_is_not_looked_for(tmp_path: Path) -> None:
    write(tmp_path, {"numpy/__config__.py": NUMPY, "torch/version.py": TORCH})
    assert of_packages({"six": "1"}, [tmp_path]) == {}


def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "numpy" / "__config__.py").mkdir(parents=True)
    write(tmp_path, {"torch/version.py": b"\xff\xfe\x00 cuda = '1'", "numpy.libs": "no directory"})
    assert of_packages({"numpy": "1", "torch": "1"}, [tmp_path]) == {}


def test_what_a_process_tells_of_numpy_agrees_with_what_is_seen_from_outside(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    inside = Path(mltrack.__file__).parent / "inside"
    environment = {**os.environ, "PYTHONPATH": str(inside), "MLTRACK_RUN_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import numpy"], env=environment, check=True)
    told = libraries(read_processes(tmp_path))
    outside = of_packages({"numpy": numpy.__version__}, [SITE])
    assert outside["blas"] == told["blas"]
    assert set(told.get("blas.files", "").split(", ")) <= set(outside.get("blas.files", "").split(", ")) | {""}


def test_processes_know_better(tmp_path: Path) -> None:
    assert merged({"glibc": "2.36", "cuda": "1"}, {"cuda": "2", "a": "b"}) == {"a": "b", "cuda": "2", "glibc": "2.36"}
