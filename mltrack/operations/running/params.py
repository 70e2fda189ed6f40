"""The parameters of a run, from its files, its arguments and `--set`, each with where it came from."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.errors import StartError
from mltrack.operations.request import Plan
from mltrack.records import Run

UNNAMED = "params.yaml"
"""Read at the project's root without being named, where the command reads it."""


def params_of(plan: Plan, frameworks: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """Flat names -> values, and names -> sources. Arguments beat files. `frameworks`: the setting."""
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
    if reads(frameworks, "config"):
        known = {place.resolve() for _, place, _ in files}
        named = [(name, values) for name, place, values in load_named_files(plan) if place.resolve() not in known]
        add_named(named, params, sources)
    for name, value in params_from_command(plan.command).items():
        params[name], sources[name] = value, "argv"
    for name, value in plan.set_params.items():
        params[name], sources[name] = value, "--set"
    return params, sources


def reads(frameworks: tuple[str, ...], name: str) -> bool:
    """Does the setting `frameworks` let this one's files be read? Empty: all of them."""
    return "off" not in frameworks and (not frameworks or name in frameworks)


def load_named_files(plan: Plan) -> list[tuple[str, Path, dict[str, Any]]]:
    """Name, place and flat values of the config files that the command names; what is no config is passed over."""
    from mltrack.formats.config_files import named_configs

    named = named_configs(plan.command)
    if not named:
        return []
    from mltrack.formats.config_files import read_config
    from mltrack.git.exclusions import may_hold_secrets
    from mltrack.snapshot.inputs import name_below

    found: dict[str, tuple[str, Path, dict[str, Any]]] = {}
    for item in named:
        place = Path(os.path.normpath(plan.working_directory / os.path.expanduser(item.path)))
        name = name_below(plan.place.root, place)
        if os.path.isabs(name):
            place = plan.place.lies_at(name)
        values = None if may_hold_secrets(os.fsencode(name)) else read_config(place)
        if values is not None:
            found[name] = (name, place, values)
    return list(found.values())


def add_named(files: Sequence[tuple[str, Mapping[str, Any]]], params: dict[str, Any], sources: dict[str, str]) -> None:
    """Add the params of named config files. A name that a declared file has stays that file's; ours is qualified."""
    if not files:
        return
    from mltrack.formats.params import merge_param_files

    found, places = merge_param_files(files)
    for name, value in found.items():
        own = name
        if own in params:
            own = f"{Path(places[name]).stem}.{name}"
        if own in params:
            own = f"{places[name]}:{name}"
        params[own], sources[own] = value, places[name]


def with_unnamed(
    plan: Plan, frameworks: tuple[str, ...], params: Mapping[str, Any], sources: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The params with those of `params.yaml` at the project's root that nobody named. What stands in the command or in
    `--set` beats it. Whether the command reads that file at all is known at the run's end: see `without_unread`."""
    place = unnamed_file(plan) if reads(frameworks, "config") else None
    if place is None:
        return dict(params), dict(sources)
    from mltrack.formats.config_files import read_config

    params, sources = dict(params), dict(sources)
    beaten = {name for name, source in sources.items() if source in ("argv", "--set")}
    values = {name: value for name, value in (read_config(place) or {}).items() if name not in beaten}
    add_named([(UNNAMED, values)] if values else [], params, sources)
    return params, sources


def unnamed_file(plan: Plan) -> Path | None:
    """`params.yaml` at the project's root, where nobody named it; DVC reads it there too. None where there is none."""
    place = plan.place.root / UNNAMED
    if not place.is_file():
        return None
    from mltrack.formats.config_files import named_configs
    from mltrack.formats.params import parse_params_option

    declared = {os.path.normpath(parse_params_option(option)[0]) for option in plan.declared.params}
    directory = plan.working_directory
    named = {os.path.normpath(directory / os.path.expanduser(item.path)) for item in named_configs(plan.command)}
    return None if UNNAMED in declared or str(place) in named else place


def without_unread(plan: Plan, run: Run, touched: Collection[str]) -> Run:
    """The run without params of a file that nobody named, if it was not read. `touched`: every path that was."""
    place = unnamed_file(plan) if UNNAMED in run.param_sources.values() else None
    if place is None or str(place) in touched:
        return run
    gone = {name for name, source in run.param_sources.items() if source == UNNAMED}
    return replace(
        run,
        params={name: value for name, value in run.params.items() if name not in gone},
        param_sources={name: source for name, source in run.param_sources.items() if name not in gone},
    )


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
