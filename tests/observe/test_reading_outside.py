"""What the sources outside of the processes see of each way of reading: two columns of the table of the page."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mltrack.observe import Event
from mltrack.observe.directories import Directories
from mltrack.observe.trace import events, settle, wrap
from tests.observe.programs import Watched
from tests.observe.test_reading import NO, PAGE, ROWS, YES, Row, is_here

ALWAYS = re.compile("`mmap`|`sqlite3`|.*spawned|.*bash|.*static|.*without the C|.*temporary|.*link|.*listed|.*renamed")
"""Of rows that differ only in what opens the file, one is enough but in a soak."""
SOME = [row for row in ROWS if ALWAYS.match(row.name) or int(os.environ.get("MLTRACK_SOAK", "1")) > 1]


@dataclass
class ByDirectories(Watched):
    found: list[Event] = field(default_factory=list)

    def run(self, *words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        watcher = Directories([str(self.place)])
        watcher.start()
        try:
            return super().run(*words, check=check, **more)
        finally:
            self.found += watcher.take() + watcher.stop()

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def events(self) -> list[Event]:
        return self.found


@dataclass
class ByTrace(ByDirectories):
    def run(self, *words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        argv, variables = wrap(words, self.observed, self.environment())
        with subprocess.Popen(argv, cwd=self.place, env=variables, stdin=subprocess.DEVNULL) as process:
            code = process.wait(100)
        assert settle(self.observed, process.pid)
        self.found += events(self.observed, self.place)
        assert code == 0 or not check
        return subprocess.CompletedProcess(argv, code)


def told(row: Row, watched: ByDirectories) -> str:
    if any(not is_here(part) for part in row.needs):
        pytest.skip(f"{row.needs} are not here")
    (watched.place / "in").write_text("some")
    row.start(watched)
    seen = set(watched.seen())
    if isinstance(watched, ByTrace):
        return YES if set(row.told) <= seen else NO
    paths = {line[2:] for line in seen}  # whether it was only read is not told of what is opened to be changed
    return YES if all({path, path.replace("a/", "b/")} & paths for path in (line[2:] for line in row.told)) else NO


def on_the_page(row: Row, source: str) -> str:
    lines = [re.split(r" *\| *", line.strip().strip("|").strip()) for line in PAGE.read_text().splitlines()]
    (header,) = [cells for cells in lines if cells[0] == "what is done" and source in cells]
    (found,) = [cells for cells in lines if cells[0] == row.name and len(cells) == len(header)]
    return found[header.index(source)]


@pytest.mark.parametrize("row", SOME, ids=lambda row: row.name)
def test_directories_see_what_the_table_says(row: Row, tmp_path: Path) -> None:
    assert told(row, ByDirectories(tmp_path)) == on_the_page(row, "directories")


@pytest.mark.needs("strace")
@pytest.mark.parametrize("row", SOME, ids=lambda row: row.name)
def test_the_trace_sees_everything(row: Row, tmp_path: Path) -> None:
    assert told(row, ByTrace(tmp_path)) == YES == on_the_page(row, "trace")


def test_the_page_has_every_row() -> None:
    assert {on_the_page(row, source) for row in ROWS for source in ("directories", "trace")} == {YES, NO}
