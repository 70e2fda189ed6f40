"""What the name of a file says of it: that a person wrote it, or that a tool left it behind for itself.

Pure, and read before every start: nothing is imported here.
"""

from __future__ import annotations

CODE_SUFFIXES = {
    ".py", ".pyx", ".ipynb", ".r", ".rmd", ".jl", ".sh", ".bash", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rs",
    ".go", ".java", ".scala", ".lua", ".m", ".sql", ".awk", ".pl", ".toml", ".cfg", ".ini", ".mk",
}  # fmt: skip
"""What a person writes: such a file stays code even if a run wrote it once (an edit while it trained, say)."""

CACHES = {
    "__pycache__",
    ".ipynb_checkpoints",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".DS_Store",
}
"""What tools leave behind for themselves: neither code nor a result, whether git ignores it or not."""

TOOL_CACHES = {".cache", ".tox", ".nox", ".eggs", ".Rproj.user", ".RData", ".Rhistory", ".snakemake", "wandb"}
"""The same, where a run is watched: what it writes there is for the tool, what it reads there came from elsewhere."""

ENVIRONMENT_PARTS = frozenset((
    "site-packages", "dist-packages", "node_modules", "conda-meta", "__pypackages__", ".venv", ".pyenv", ".asdf",
    ".rbenv", "miniconda3", "anaconda3", "miniforge3", "mambaforge", ".rustup", ".nvm", ".linuxbrew",
))  # fmt: skip
"""Names of directories in which all belongs to an environment, wherever they are."""

TOOLS = frozenset((
    "uv", "uvx", "poetry", "pdm", "hatch", "rye", "pipenv", "pipx", "conda", "mamba", "micromamba", "pixi", "torchrun",
    "accelerate", "deepspeed", "make", "just", "task", "snakemake", "dvc", "direnv", "mise", "asdf",
))  # fmt: skip
"""Programs that start, install or order others: wherever they lie, they belong to no run."""
LOCKS = (".lock", ".lck", ".pid")
"""Files by which programs keep out of each other's way."""

BYTECODE = (".pyc", ".pyo")


def is_cache(path: bytes) -> bool:
    """Does a relative path lie in a tool's cache, or is it Python's bytecode?"""
    parts = path.decode("utf-8", "surrogateescape").split("/")
    return parts[-1].endswith(BYTECODE) or not CACHES.isdisjoint(parts)


def suffix_of(path: str) -> str:
    """The suffix of a file's name in lower case, with its dot; "" if it has none, or is nothing but one."""
    name = path.rpartition("/")[2]
    head, dot, tail = name.rpartition(".")
    return f".{tail.lower()}" if dot and head else ""
