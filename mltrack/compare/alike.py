"""Runs that are alike but for the seed: judged by their records alone. Pure.

Alike are the exact code tree, the environment's digest, the content of every input, all params and the command, where
the seed that a run was started with, params that are called a seed and words of the command that set one do not count.
Hardware, time, names, and variables that the environment's digest leaves out do not count either.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.seeds import is_seed
from mltrack.digest import digest_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mltrack.records import CodeState, Run

_OPTION = re.compile(r"(?:--?|\+{1,2})?([\w.:-]+)(=.*)?", re.DOTALL)


def likeness(run: Run, with_tree: bool = True) -> str | None:
    """Equal for runs that are alike but for the seed; None for a run of which too little is known to say so.

    Without `with_tree` the code tree does not count: whoever asks so compares the trees' files.
    """
    if run.code.tree is None or run.environment.digest is None or any(item.digest is None for item in run.inputs):
        return None
    return digest_json(
        {
            "command": unseeded(run.command),
            "cwd": run.cwd,
            "code": code_of(run.code if with_tree else replace(run.code, tree=None)),
            "environment": run.environment.digest,
            "inputs": sorted([item.root or "", item.path, item.kind, item.digest] for item in run.inputs),
            "params": {name: value for name, value in run.params.items() if not is_seed(name)},
        }
    )


def seeding(run: Run) -> str | None:
    """Equal for runs that are alike in their seeds too: one repeats the other. None for a run that has no seed."""
    seeds = {name: value for name, value in run.params.items() if is_seed(name)}
    if run.seed is None and not seeds and unseeded(run.command) == list(run.command):
        return None
    return digest_json({"seed": run.seed, "params": seeds, "command": list(run.command)})


def code_of(code: CodeState) -> list[object]:
    return [code.tree, code.raw, [[nested.path, code_of(nested.code)] for nested in code.nested]]


def unseeded(command: Sequence[str]) -> list[str]:
    """The words of a command without the values of seeds: `--seed 3`, `--seed=3`, `train.seed=3`."""
    found: list[str] = []
    is_value = False
    for word in command:
        match = _OPTION.fullmatch(word)
        is_one = match is not None and is_seed(match[1]) and (match[2] is not None or word.startswith("-"))
        found.append("" if is_value else match[1] if is_one and match else word)
        is_value = is_one and match is not None and match[2] is None
    return found
