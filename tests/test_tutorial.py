"""The tutorial's files are written and its commands are executed, as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"^```(\S+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(text: str) -> str:
    """The document as one shell script: files as here-documents, commands as they are."""
    parts = ["set -eu"]
    for language, name, body in BLOCK.findall(text):
        if name:
            parts.append(f"cat > {name} <<'END-OF-FILE'\n{body}END-OF-FILE")
        elif language == "sh":
            parts.append(body)
    return "\n".join(parts)


def test_the_tutorial_works_as_it_is_written(tmp_path: Path, command_path: str) -> None:
    script = script_of((DOCS / "tutorial.md").read_text())
    assert script.count("mltrack ") > 15
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": command_path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "they differ" in done.stdout
    assert "identical" in done.stdout
    assert (tmp_path / "line" / "best-line.json").exists()
