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

OWN = frozenset(("RUN_ID", "RUN_DIR", "METRICS", "PARAMS", "ARTIFACTS", "RESUME"))
"""What we set for each run anew, less the `MLTRACK_` in front: others that begin so are the user's."""

VOLATILE = frozenset((
    "PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "DISPLAY", "WAYLAND_DISPLAY", "WINDOWID", "PS1", "PS2", "MAIL",
    "LS_COLORS", "COLORTERM", "HISTFILE", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "GPG_TTY",
    "GPG_AGENT_INFO", "TERM", "TERMCAP", "TERMINFO", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID",
    "TERMINATOR_UUID", "TERMINATOR_DBUS_NAME", "TERMINATOR_DBUS_PATH", "TMUX", "TMUX_PANE", "TMUX_TMPDIR",
    "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_AGENT_LAUNCHER",
    "DBUS_SESSION_BUS_ADDRESS", "DBUS_STARTER_ADDRESS", "DBUS_STARTER_BUS_TYPE", "XDG_SESSION_ID", "XDG_SESSION_TYPE",
    "XDG_SESSION_CLASS", "XDG_SESSION_DESKTOP", "XDG_SESSION_PATH", "XDG_CURRENT_DESKTOP", "XDG_MENU_PREFIX",
    "XDG_ACTIVATION_TOKEN", "XDG_RUNTIME_DIR", "XDG_SEAT", "XDG_SEAT_PATH", "XDG_VTNR", "ITERM_PROFILE",
    "ITERM_SESSION_ID", "KITTY_WINDOW_ID", "KITTY_PID", "KITTY_PUBLIC_KEY", "KITTY_LISTEN_ON",
    "KITTY_INSTALLATION_DIR",
))  # fmt: skip
"""Variables that change from shell to shell and do not change what a training command computes, each by its name: what
only begins like one (`TERMINAL_REWARD`, `GIT_AUTHOR_NAME`) counts."""
VOLATILE_PREFIXES = ("VSCODE_",)
"""Of an editor that sets a dozen, and new ones with each version."""


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
    is_own = name.startswith("MLTRACK_") and name[len("MLTRACK_") :] in OWN
    return is_own or name in VOLATILE or name.startswith(VOLATILE_PREFIXES)


def code_identity(code: CodeState) -> list[Any]:
    """What tells two trees apart: the git tree, the raw bytes beside it, and the nested repositories."""
    return [code.tree, code.raw, [[nested.path, code_identity(nested.code)] for nested in code.nested]]
