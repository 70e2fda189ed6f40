"""Small real experiments, and how one is run, changed and judged by the real commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers import git, git_repository, write
from tests.stories.typing import Person

SUM = """import json
rate = 0.5
total = sum(float(line) for line in open("data.csv"))
open("model.bin", "wb").write(bytes(int(total) % 256 for _ in range(64)))
json.dump({"loss": rate * total}, open("metrics.json", "w"))
"""

DATA = "1\n2\n3\n"


@dataclass
class Experiment:
    """A project with a program, and one recorded run of it."""

    person: Person
    recorded: str = ""

    def record(self, *options: str, command: str = "python train.py", code: int = 0) -> None:
        """Run the command, and note the run as the one that all others are compared with."""
        self.person.type("run", "--quiet", *options, "--", *command.split(), code=code)
        self.recorded = self.person.json("ls", "--limit", "1")[0]["id"]

    def change(self, files: Mapping[str, str | bytes]) -> None:
        write(self.person.cwd, files)

    def reproduce(self) -> Any:
        done = self.person.try_("reproduce", self.recorded, "--json")
        assert done.returncode in (0, 1), done.stderr
        return self.checked(done)["verdict"]

    def rerun(self, *options: str, code: int = 0) -> Any:
        """The verdict on a rerun, which is written in the run."""
        done = self.person.json("rerun", self.recorded, *options, code=code)
        return done["verdict"]

    def judge(self, ref: str = "@") -> Any:
        done = self.person.try_("verdict", ref, "--json")
        return self.checked(done)["verdict"]

    def checked(self, done: Any) -> Any:
        """The answer; the exit code says whether the grade is a success."""
        import json

        found = json.loads(done.stdout)
        holds = found["verdict"]["grade"] in ("identical", "equivalent", "within tolerance", "within noise")
        assert (done.returncode == 0) == holds, found["verdict"]["grade"]
        return found


def experiment(place: Path, path: str, files: Mapping[str, str | bytes], kind: str = "system") -> Experiment:
    """A repository with these files. The environment is what is here, unless `kind` says otherwise: laying it out is
    for other tests."""
    top = git_repository(place, {".gitignore": "data.csv\n", **files})
    variables = {"MLTRACK_CONFIG_ENVIRONMENT_KIND": kind, "PYTHONDONTWRITEBYTECODE": "1"}
    return Experiment(Person(top, path, variables))


def commit(found: Experiment, message: str = "change") -> None:
    git(found.person.cwd, "commit", "-qam", message)


def told(verdict: Any) -> dict[str, str]:
    """Path or name -> grade."""
    return {
        **{item["path"]: item["grade"] for item in verdict["artifacts"]},
        **{item["name"]: item["grade"] for item in verdict["metrics"]},
    }


def around(verdict: Any) -> list[str]:
    return [item["what"] for item in verdict["conditions"]]


SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
