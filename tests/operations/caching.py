"""A project in which a command ran once, truly watched; and the question whether that run would be taken now."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mltrack.operations.request import RunRequest
from mltrack.operations.run import plan_run
from mltrack.operations.running.cached import choose, look_ahead, reuse
from mltrack.operations.running.put_back import PutBack
from mltrack.project import Project
from mltrack.records import Run


def settle(root: Path) -> None:
    """Wait until what is written from now on has a later time than what was there before a run that starts now."""
    time.sleep(0.06)


@contextmanager
def standing_in(directory: Path, stdin: Path | None = None) -> Iterator[None]:
    """With that working directory, and that file (else nothing) on standard input."""
    before, saved = os.getcwd(), os.dup(0)
    source = os.open(stdin or os.devnull, os.O_RDONLY)
    os.dup2(source, 0)
    os.close(source)
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)
        os.dup2(saved, 0)
        os.close(saved)


@dataclass
class Asked:
    """What was answered: the run that would be taken, or why none is."""

    run: Run | None
    said: list[str]


@dataclass
class Caching:
    """One project and one way to ask for a run in it."""

    root: Path
    path: str
    words: tuple[str, ...]
    """What stands between `mltrack run` and the command, without --cached."""
    request: RunRequest
    stdin: Path | None = None

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Really run it, as a person would."""
        settle(self.root)
        source = open(self.stdin or os.devnull, "rb")  # noqa: SIM115
        with source:
            done = subprocess.run(
                ["mltrack", "run", *self.words, *more, "--", *self.request.command],
                cwd=self.request.cwd,
                env=self.environment(),
                stdin=source,
                capture_output=True,
                text=True,
                executable=self.path.split(os.pathsep)[0] + "/mltrack",
            )
        assert done.returncode == 0, done.stderr
        settle(self.root)
        return done

    def environment(self) -> dict[str, str]:
        """The variables of whoever asks: pytest's own differ between a test and its fixtures."""
        return {**os.environ, "PATH": self.path, "PYTEST_CURRENT_TEST": ""}

    def ask(self, request: RunRequest | None = None, stdin: Path | None = None) -> Asked:
        """Would a past run be taken now? Nothing is run or written."""
        return self._with(lambda project, request, said: self._choose(project, request, said), request, stdin)

    def take(self, request: RunRequest | None = None) -> tuple[Asked, PutBack | None]:
        """Take it, with its outputs put back."""
        done: list[PutBack] = []

        def work(project: Project, request: RunRequest, said: list[str]) -> Run | None:
            asked = replace(request, reuse=lambda run, put: done.append(put))
            return reuse(project, plan_run(project, asked), said.append)

        asked = self._with(work, request, None)
        return asked, done[0] if done else None

    def newest(self) -> Run:
        with Project.get(self.root) as project:
            return project.ledger.get(project.ledger.resolve("@", []))

    def _choose(self, project: Project, request: RunRequest, said: list[str]) -> Run | None:
        plan = plan_run(project, request)
        taken = choose(project, plan, look_ahead(project, plan), said.append)
        return taken[0] if taken else None

    def _with(
        self,
        work: Callable[[Project, RunRequest, list[str]], Run | None],
        request: RunRequest | None,
        stdin: Path | None,
    ) -> Asked:
        said: list[str] = []
        request = request or self.request
        before = dict(os.environ)
        os.environ.update(self.environment())
        try:
            with standing_in(request.cwd, stdin or self.stdin), Project.get(self.root) as project:
                return Asked(work(project, request, said), said)
        finally:
            os.environ.update(before)


def caching(root: Path, path: str, command: tuple[str, ...], **options: object) -> Caching:
    """How to ask for that command in the project at `root`; options as those of RunRequest."""
    request = RunRequest(command, root, **options)  # type: ignore[arg-type]
    words = []
    for flag, values in (("--input", request.inputs), ("--output", request.outputs), ("--params", request.params)):
        for value in values:
            words += [flag, value]
    words += ["--seed", str(request.seed)] if request.seed is not None else []
    return Caching(root, path, tuple(words), request)
