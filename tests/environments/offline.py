"""Commands on a machine that no network reaches: a network namespace of their own, with no interface up.

For tests that are marked `needs("ip")`, which asks for root too.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def offline(*words: object) -> list[str]:
    """The words that start a command without any network, not even the loopback interface."""
    return ["unshare", "--net", "--", *map(str, words)]


def run_offline(
    words: Sequence[object], cwd: Path | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without a network, after making sure that there is none."""
    seen = subprocess.run(offline("ip", "route"), capture_output=True, text=True)
    assert (seen.returncode, seen.stdout) == (0, ""), "there is a way out of the namespace"
    given = None if variables is None else dict(variables)
    return subprocess.run(offline(*words), cwd=cwd, env=given, capture_output=True, text=True)
