"""Another seed for a repetition: where the recorded run had one, and how a plan is given the next.

By the same means as `--seed` and `--set`: the variables that mltrack sets, a word of the command, or a value in a
params file of the workspace. What a program seeds by itself is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.compare.seeds import IN_COMMAND, NAMES, seed_of, seed_params
from mltrack.confine import inside
from mltrack.errors import UsageError

if TYPE_CHECKING:
    from mltrack.operations.request import Plan
    from mltrack.records import Run


def check_seed(run: Run) -> None:
    """Raise UsageError if nothing is known that a seed could be set by."""
    if seed_of(run) is None:
        raise UsageError(
            f"{run.id} has no seed that could be varied: it was not started with --seed, and has no param called "
            f"{', '.join(NAMES[:-1])} or {NAMES[-1]}.",
            "Have the program take its seed from $MLTRACK_SEED or an option --seed, and run it again; "
            "or calibrate with nothing varied.",
        )


def seeded(plan: Plan, run: Run, by: int) -> Plan:
    """The plan with every seed of the run raised by so much; params files in its place are edited.

    Raises UsageError where a value cannot be changed.
    """
    seeds = {name: value + by for name, value in seed_params(run).items()}
    words = {name: value for name, value in seeds.items() if run.param_sources[name] in IN_COMMAND}
    for name, value in seeds.items():
        if name not in words:
            edit(plan.place.root, run.param_sources[name], name, value)
    request = plan.request if run.seed is None else replace(plan.request, seed=run.seed + by)
    set_params = {name: words.get(name, value) for name, value in plan.set_params.items()}
    command, argv = with_words(plan.command, words), with_words(plan.argv, words)
    return replace(plan, request=request, command=command, argv=argv, set_params=set_params)


def with_words(command: tuple[str, ...], values: Mapping[str, Any]) -> tuple[str, ...]:
    """A command with other values of some of its arguments. Raises UsageError."""
    if not values:
        return command
    from mltrack.formats.overrides import apply_overrides, parse_override

    return apply_overrides(command, [parse_override(f"{name}={value}") for name, value in values.items()], {}).command


def edit(root: Path, source: str, name: str, value: int) -> None:
    """Change a value in a params file. Names of several files may have been told apart by the file's name."""
    from mltrack.formats.edits import edit_file

    place = inside(root, source)
    data, refused = place.read_bytes(), None
    for key in dict.fromkeys((name, name.removeprefix(f"{source}:"), name.removeprefix(f"{Path(source).stem}."))):
        try:
            place.write_bytes(edit_file(data, place.suffix, key, str(value)))
            return
        except UsageError as error:
            refused = refused or error
    assert refused is not None, "there is always a key to try"
    raise refused
