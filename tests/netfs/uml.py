"""Runs a program in a user-mode Linux of its own, whose kernel serves and mounts NFS. Debian has it as a package."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

INIT = Path(__file__).parent / "init.sh"
ROOT = Path(__file__).parents[2]


def in_guest(program: Path, scratch: Path, rounds: int = 6, timeout_s: int = 600) -> dict[str, Any]:
    """What a Python program prints in the guest, one `RESULT name json` a line. Raises AssertionError with all of it."""
    uml = scratch / "uml"
    uml.mkdir()
    script = uml / "guest.sh"
    words = shlex.join([sys.executable, "-u", str(program)])
    script.write_text(
        f"export PYTHONPATH={shlex.quote(str(ROOT))} PYTHONDONTWRITEBYTECODE=1 ROUNDS={rounds}\n{words} 2>&1\n"
    )
    command = [
        shutil.which("linux.uml") or "linux.uml", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}",
        "mem=2G", "con=null", "con0=null,fd:1", f"umid=m{os.getpid()}", f"uml_dir={uml}/", f'GUEST=". {script}"',
    ]  # fmt: skip
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s
    )
    told = done.stdout.decode(errors="replace")
    assert "GUEST ENDED" in told, told
    lines = [line.split(" ", 2) for line in told.splitlines() if line.startswith("RESULT ")]
    assert lines, told
    return {"told": told, **{name: json.loads(text) for _, name, text in lines}}
