"""mltrack: a run you can get again.

The front door of the library. Names are found on first use, so `import mltrack` costs nothing measurable; not even
`typing` and `importlib` are imported, which together cost as much as a bare interpreter.
"""

from __future__ import annotations

_INSIDE = "mltrack.inside.mltrack"
_DOORS = {
    "log": (_INSIDE, "log"),
    "log_metric": (_INSIDE, "log_metric"),
    "log_params": (_INSIDE, "log_params"),
    "log_artifact": (_INSIDE, "log_artifact"),
    "run_id": (_INSIDE, "run_id"),
    "start_run": (_INSIDE, "start_run"),
    "runs": ("mltrack.operations.asking", "runs"),
    "__version__": ("mltrack.version", "VERSION"),
}


def __getattr__(name: str) -> object:
    if name not in _DOORS:
        raise AttributeError(f"module 'mltrack' has no attribute {name!r}")
    module, attribute = _DOORS[name]
    return getattr(__import__(module, fromlist=[attribute]), attribute)
