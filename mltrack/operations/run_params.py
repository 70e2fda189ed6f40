"""The parameters of a run, from its files, its arguments and `--set`, each with where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mltrack.errors import StartError
from mltrack.operations.request import Plan


def params_of(plan: Plan) -> tuple[dict[str, Any], dict[str, str]]:
    """Flat names -> values, and names -> sources. Arguments beat files."""
    from mltrack.formats.arguments import params_from_command

    params: dict[str, Any] = {}
    sources: dict[str, str] = {}
    files = load_params_files(plan.place.root, plan.declared.params)
    if files:
        from mltrack.formats.params import locate_params, merge_param_files

        params, sources = merge_param_files([(name, values) for name, _, values in files])
        located = locate_params([(name, values) for name, _, values in files])
        edited = {(edit.path, edit.key) for edit in plan.edits}
        sources.update({name: "--set" for name, place in located.items() if place in edited})
    for name, value in params_from_command(plan.command).items():
        params[name], sources[name] = value, "argv"
    for name, value in plan.set_params.items():
        params[name], sources[name] = value, "--set"
    return params, sources


def load_params_files(root: Path, declared: tuple[str, ...]) -> list[tuple[str, Path, dict[str, Any]]]:
    """Name, place and flat values of every declared params file; StartError for one that is not there."""
    if not declared:
        return []
    from mltrack.formats.params import load_params, parse_params_option

    found = []
    for option in declared:
        name, keys = parse_params_option(option)
        place = root / name
        if not place.is_file():
            raise StartError(f"The params file {name} is not there.", "Correct --params or `params` in mltrack.yaml.")
        found.append((name, place, load_params(place, keys)))
    return found
