"""Starts programs as a run does, watched by the library, the hook, both or none, and reads what the journal has of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import mltrack
from mltrack.observe import BEFORE, VARIABLE, Event
from mltrack.observe.journal import parse
from mltrack.observe.library import variables

INSIDE = Path(mltrack.__file__).parent / "inside"
CLEAN = ("LD_PRELOAD", "MLTRACK_OBSERVE", "MLTRACK_WATCHED", "PYTHONPATH")


@dataclass
class Watched:
    """A directory for programs to work in, with a run directory beside it."""

    top: Path
    library: Path | None = None
    hook: bool = True
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = self.top / "place"
        self.observed = self.top / "run" / "observed"
        self.place.mkdir(exist_ok=True)
        (self.observed / BEFORE).mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        found = {name: value for name, value in os.environ.items() if name not in CLEAN}
        found |= {VARIABLE: str(self.observed), "MLTRACK_RUN_DIR": str(self.observed.parent)}
        if self.hook:
            found["PYTHONPATH"] = str(INSIDE)
        if self.library:
            found |= variables(self.library, {})
        return found | self.more

    def run(self, *words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment() | more
        done = subprocess.run(
            words,
            cwd=self.place,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def python(self, code: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", code, *words, check=check)

    def events(self) -> list[Event]:
        lines = [line for path in self.observed.glob("*.log") for line in path.read_bytes().splitlines()]
        found = [parse(line) for line in lines]
        assert None not in found, lines
        return [event for event in found if event is not None]

    def seen(self) -> list[str]:
        """`r in.csv`: letter and path of what was done below the working directory, in order."""
        top = f"{self.place}/"
        below = [event for event in self.events() if event.path.startswith(top)]
        return [f"{event.letter} {event.path[len(top) :]}" for event in below]

    def of(self, letters: str) -> list[str]:
        """The paths of the lines with these letters."""
        return [event.path for event in self.events() if event.letter in letters]

    def before(self, name: str) -> bytes | None:
        """What is kept of a file's earlier content; None where nothing is told of it."""
        for event in self.events():
            if event.letter == "b" and event.path == str(self.place / name):
                return None if event.other == "-" else (self.observed / BEFORE / event.other.split()[0]).read_bytes()
        return None


def compile(place: Path, source: str, *flags: str, compiler: str = "cc") -> str:
    """Compile a program; returns its path."""
    code = place / f"{'c' if compiler == 'cc' else 'cpp'}-program.{'c' if compiler == 'cc' else 'cc'}"
    code.write_text(source)
    program = place / f"{code.stem}-{len(list(place.iterdir()))}"
    subprocess.run([compiler, "-O1", "-w", "-o", program, code, *flags], check=True)
    return str(program)
