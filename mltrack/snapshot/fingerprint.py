"""The fingerprint: equal fingerprints had equal inputs. What it covers is listed in `docs/concepts.md`.

Arguments and variables enter it unredacted, under the key of the checkout, so that a secret cannot be guessed from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mltrack.digest import digest_json, keyed_digest
from mltrack.nouns import noun
from mltrack.records import CodeState, Environment, Input

VOLATILE = {
    "PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "DISPLAY", "WINDOWID", "PS1", "PS2", "LS_COLORS", "HISTFILE",
    "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "LOGNAME", "MAIL", "WAYLAND_DISPLAY", "COLORTERM",
}  # fmt: skip
VOLATILE_PREFIXES = ("TERM", "SSH_", "XDG_", "DBUS_", "TMUX", "VSCODE_", "MLTRACK_", "GPG_", "ITERM_", "KITTY_", "GIT_")
"""Variables that change from shell to shell and do not change what a training command computes."""

LASTING = {"XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}
"""Those among them that say where settings and data are looked for."""


@noun
class Basis:
    """What a fingerprint is made of."""

    argv: Sequence[str]
    cwd: str
    stdin: str | None
    """Of a file its digest, of what else can be read from a word that says so, None for nothing."""
    code: CodeState
    environment: Environment
    inputs: Sequence[Input]
    params: Mapping[str, Any]
    seed: int | None
    variables: Mapping[str, str]


def fingerprint(basis: Basis, key: bytes) -> str | None:
    """The digest of the basis; None when something was left out, changed during the run or could not be read.

    Inputs that were only observed are not in it: before a run nobody knows them, and code and arguments decide on them.
    """
    declared = [item for item in basis.inputs if item.found == "declared"]
    if basis.code.all_left_out() or any(item.digest is None for item in declared) or basis.environment.digest is None:
        return None
    lasting = {name: value for name, value in basis.variables.items() if not is_volatile(name)}
    return digest_json(
        {
            "argv": keyed_digest(key, [os.fsencode(word) for word in basis.argv]),
            "cwd": basis.cwd,
            "stdin": basis.stdin,
            "code": code_identity(basis.code),
            "environment": basis.environment.digest,
            "inputs": sorted([item.path, item.kind, item.digest, item.executable] for item in declared),
            "params": basis.params,
            "seed": basis.seed,
            "variables": keyed_digest(key, [os.fsencode(f"{name}={lasting[name]}") for name in sorted(lasting)]),
        }
    )


def is_volatile(name: str) -> bool:
    return name in VOLATILE or (name.startswith(VOLATILE_PREFIXES) and name not in LASTING)


def code_identity(code: CodeState) -> list[Any]:
    """What tells two trees apart: the git tree, the raw bytes beside it, and the nested repositories."""
    return [code.tree, code.raw, [[nested.path, code_identity(nested.code)] for nested in code.nested]]
