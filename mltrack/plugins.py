"""Families of modules: a name -> the module that answers to it.

A member of a family (an environment kind, an executor, ...) is a module with the same few names as its siblings. The
built-in ones stand in a table, because asking the installed metadata for entry points costs 40 ms; entry points are
read only for a name that is not in it. Only the module asked for is imported.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mltrack.errors import UsageError

BUILT_IN = {
    "environments": {
        "conda": "mltrack.environments.conda",
        "r": "mltrack.environments.r",
        "julia": "mltrack.environments.julia",
        "python": "mltrack.environments.python",
        "docker": "mltrack.environments.docker",
        "system": "mltrack.environments.system",
    },
    "executors": {
        "local": "mltrack.executors.local",
    },
    "comparators": {
        "zip": "mltrack.compare.comparators.zip_files",
        "gzip": "mltrack.compare.comparators.gzip_files",
        "tar": "mltrack.compare.comparators.tar_files",
        "npy": "mltrack.compare.comparators.arrays",
        "safetensors": "mltrack.compare.comparators.safetensors",
        "parquet": "mltrack.compare.comparators.parquet",
        "images": "mltrack.compare.comparators.images",
        "pdf": "mltrack.compare.comparators.pdf",
        "r": "mltrack.compare.comparators.r_objects",
        "pickle": "mltrack.compare.comparators.pickles",
        "notebook": "mltrack.compare.comparators.notebook",
        "json": "mltrack.compare.comparators.json_files",
        "json_lines": "mltrack.compare.comparators.json_lines",
        "yaml": "mltrack.compare.comparators.yaml_files",
        "toml": "mltrack.compare.comparators.toml_files",
        "csv": "mltrack.compare.comparators.csv_files",
        "xml": "mltrack.compare.comparators.xml_files",
        "events": "mltrack.compare.comparators.event_files",
        "text": "mltrack.compare.comparators.text",
    },
}
"""family -> name -> module; `auto` tries the names in this order."""


def load(family: str, name: str) -> ModuleType:
    """The module called `name` in a family: a built-in one, else one that an installed distribution brings.

    An outside module is named in the entry point group `mltrack.<family>`. Raises UsageError, with the known names,
    where there is none, or where it cannot be imported.
    """
    built_in = BUILT_IN.get(family, {})
    if name in built_in:
        return import_module(built_in[name])
    for found, target in outside(family):
        if found == name:
            try:
                return import_module(target)
            except Exception as error:  # whatever its code does, it is no failure of ours
                reason = (str(error).splitlines() or ["no reason given"])[0]
                raise UsageError(
                    f"The plug-in {name!r} of {family} cannot be imported: {type(error).__name__}: {reason}.",
                    f"Repair or remove the distribution that brings {target}.",
                ) from error
    raise UsageError(
        f"There is no {name!r} among {family}.",
        f"Known are: {', '.join(names(family)) or 'none'}.",
    )


def names(family: str) -> list[str]:
    """The names that `load` knows in a family: the built-in ones in their order, then those of plug-ins."""
    known = list(BUILT_IN.get(family, {}))
    return known + sorted({name for name, _ in outside(family)} - set(known))


def built_in(family: str) -> list[str]:
    """The built-in names of a family, in their order, without a look at the installed distributions."""
    return list(BUILT_IN.get(family, {}))


def outside(family: str) -> list[tuple[str, str]]:
    """(name, module) of every entry point in the group `mltrack.<family>`."""
    from importlib.metadata import entry_points

    return [(point.name, point.module) for point in entry_points(group=f"mltrack.{family}")]
