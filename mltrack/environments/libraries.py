"""What moves numbers and is no package of its own, as far as it can be read from outside, with no process started.

The C library of this machine, the linear algebra within NumPy's wheel, the CUDA that distributions bring, the build of
PyTorch. What the run's own processes tell (`collect/imports.py`) is laid on top: they know what was really loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mltrack.patterns import lazy

MOST_BYTES = 200_000
"""Of a file that is looked into."""

NVIDIA = lazy(r"nvidia-(cuda-runtime|cudnn|cublas|nccl)(-cu\d+)?")
NAMES = {"cuda-runtime": "cuda", "cudnn": "cudnn", "cublas": "cublas", "nccl": "nccl"}

BUNDLED = ("numpy.libs", "scipy.libs", "numpy/.dylibs")
LINEAR_ALGEBRA = ("libopenblas", "libscipy_openblas", "libmkl_rt", "libblis")

NUMPYS_BLAS = lazy(r'"blas":\s*\{\s*"name":\s*"([^"]+)".*?"version":\s*r?"([^"]*)"', re.DOTALL)
TORCHS = lazy(r"^(__version__|cuda|hip|git_version)\s*(?::[^=\n]*)?=\s*'([^'\n]+)'", re.MULTILINE)
TORCH_KEYS = {"__version__": "torch", "cuda": "torch.cuda", "hip": "torch.hip", "git_version": "torch.git"}
TENSORFLOWS = lazy(r"['\"](cuda_version|cudnn_version)['\"]\s*[,:]\s*['\"]([^'\"\n]+)['\"]")


def of_machine() -> dict[str, str]:
    """Those of this machine, whatever environment is built on it: `glibc`."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):
        return {}
    return {"glibc": version} if name == "glibc" and version else {}


def of_packages(packages: Mapping[str, str], places: Iterable[Path]) -> dict[str, str]:
    """Those that installed distributions bring.

    `packages`: normalised name -> version. `places`: the directories that hold them (site-packages).
    """
    found = {}
    for name, version in packages.items():
        match = NVIDIA.fullmatch(name)
        if match:
            found[NAMES[match[1]]] = version
    for place in places:
        for key, text in in_place(place, packages).items():
            found.setdefault(key, text)
    return dict(sorted(found.items()))


def in_place(place: Path, packages: Mapping[str, str]) -> dict[str, str]:
    """What the files in one site-packages say. A file that cannot be read says nothing."""
    found: dict[str, str] = {}
    if "numpy" in packages:
        match = NUMPYS_BLAS.search(head(place / "numpy" / "__config__.py"))
        if match:
            found["blas"] = f"{match[1]} {match[2]}".strip()
        names = sorted({name for folder in BUNDLED for name in entries(place / folder)})
        bundled = [name for name in names if name.startswith(LINEAR_ALGEBRA)]
        found |= {"blas.files": ", ".join(bundled)} if bundled else {}
    if "torch" in packages:
        found |= {TORCH_KEYS[key]: text for key, text in TORCHS.findall(head(place / "torch" / "version.py"))}
    if any(name.startswith("tensorflow") for name in packages):
        told = head(place / "tensorflow" / "python" / "platform" / "build_info.py")
        found |= {f"tensorflow.{key.partition('_')[0]}": text for key, text in TENSORFLOWS.findall(told)}
    return found


def head(path: Path) -> str:
    """The beginning of a text file; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def entries(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def merged(outside: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """What is known from outside, and on top of it what the processes told."""
    return dict(sorted({**outside, **told}.items()))
