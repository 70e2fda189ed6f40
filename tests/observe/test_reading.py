"""Each way of reading and writing, done for real, and which source saw it: the table of `docs/reference/observation.md`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.observe.programs import Watched, compile

pytestmark = pytest.mark.needs("cc")
PAGE = Path(__file__).parents[2] / "docs/reference/observation.md"

YES, NAMED, NO = "yes", "named", "no"
"""The file is told; or not, but the program that cannot be watched is; or nothing is told."""


@dataclass(frozen=True)
class Row:
    name: str
    library: str
    hook: str
    start: Callable[[Watched], object]
    """Prepares what is there, and runs the program."""
    told: tuple[str, ...] = ("r in",)
    needs: tuple[str, ...] = ()
    """Modules and programs; a row for which one is missing is skipped."""


def py(code: str, prepare: str = "") -> Callable[[Watched], object]:
    def start(watched: Watched) -> None:
        if prepare:
            subprocess.run([sys.executable, "-c", prepare], cwd=watched.place, check=True)
        script = watched.place / "program.py"  # what `multiprocessing` starts anew reads it again
        script.write_text(code)
        watched.run(sys.executable, "program.py")

    return start


def run(*words: str) -> Callable[[Watched], object]:
    """From a Python, so that the hook has a chance to name the program."""
    return lambda watched: watched.python("import subprocess, sys; subprocess.run(sys.argv[1:], check=True)", *words)


def c(source: str, *flags: str, compiler: str = "cc") -> Callable[[Watched], object]:
    return lambda watched: run(compile(watched.top, source, *flags, compiler=compiler))(watched)


POOL = """
import multiprocessing
def read(name): return open(name).read()
if __name__ == "__main__":
    with multiprocessing.get_context(%r).Pool(2) as pool: pool.map(read, ["in"])
"""
LOADER = """
import torch.utils.data
class Files(torch.utils.data.Dataset):
    def __len__(self): return 1
    def __getitem__(self, at): return len(open("in").read())
if __name__ == "__main__": list(torch.utils.data.DataLoader(Files(), num_workers=2))
"""
READ = '#include <fcntl.h>\n#include <unistd.h>\nint main(void) { char b[9]; return read(open("in", O_RDONLY), b, 9) < 0; }'
RAW = '#include <fcntl.h>\n#include <unistd.h>\n#include <sys/syscall.h>\nint main(void) { return syscall(SYS_openat, AT_FDCWD, "in", O_RDONLY) < 0; }'
STREAM = '#include <fstream>\n#include <string>\nint main() { std::ifstream f("in"); std::string s; f >> s; return s.empty(); }'
MOVED = ("w a/x", "m a")

ROWS = (
    Row("`open`", YES, YES, py("open('in').read()")),
    Row("`os.open`", YES, YES, py("import os; os.read(os.open('in', os.O_RDONLY), 9)")),
    Row("`mmap`", YES, YES, py("import mmap; f = open('in'); mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)[:]")),
    Row("`numpy.load`", YES, YES, py("import numpy; numpy.load('in')", "import numpy; numpy.save(open('in', 'wb'), numpy.ones(9))"), needs=("numpy",)),
    Row("`numpy.memmap`", YES, YES, py("import numpy; numpy.memmap('in', mode='r').sum()"), needs=("numpy",)),
    Row("`gzip`", YES, YES, py("import gzip; gzip.open('in').read()", "import gzip; gzip.open('in', 'w').write(b'x')")),
    Row("`zipfile`", YES, YES, py("import zipfile; zipfile.ZipFile('in').namelist()", "import zipfile; zipfile.ZipFile('in', 'w').close()")),
    Row("`pandas.read_csv`", YES, YES, py("import pandas; pandas.read_csv('in')", "open('in', 'w').write('a,b\\n1,2\\n')"), needs=("pandas",)),
    Row("`pandas.read_parquet`", YES, NO, py("import pandas; pandas.read_parquet('in')", "import pandas; pandas.DataFrame({'a': [1]}).to_parquet('in')"), needs=("pandas", "pyarrow")),
    Row("`pyarrow.parquet`", YES, NO, py("import pyarrow.parquet as p; p.read_table('in')", "import pyarrow, pyarrow.parquet as p; p.write_table(pyarrow.table({'a': [1]}), 'in')"), needs=("pyarrow",)),
    Row("`h5py`", YES, NO, py("import h5py; h5py.File('in', 'r').keys()", "import h5py; h5py.File('in', 'w').close()"), needs=("h5py",)),
    Row("`sqlite3`", YES, YES, py("import sqlite3; sqlite3.connect('in').execute('select * from sqlite_master')", "import os, sqlite3; os.remove('in'); sqlite3.connect('in').execute('create table t(x)')"), ("u in",)),
    Row("a worker of `multiprocessing`, forked", YES, YES, py(POOL % "fork")),
    Row("a worker of `multiprocessing`, spawned", YES, YES, py(POOL % "spawn")),
    Row("a worker of `multiprocessing`, from its server", YES, YES, py(POOL % "forkserver")),
    Row("a worker of PyTorch's `DataLoader`", YES, YES, py(LOADER), needs=("torch",)),
    Row("a Python started with `-I`", YES, NAMED, run(sys.executable, "-I", "-c", "open('in').read()")),
    Row("`subprocess.run([\"cat\", ...])`", YES, NAMED, run("cat", "in")),
    Row("a redirection of `bash`", YES, NAMED, run("bash", "-c", "read x < in; echo $x > out"), ("r in", "w out"), ("bash",)),
    Row("`tar`", YES, NAMED, run("tar", "-cf", "out", "in"), ("r in", "w out"), ("tar",)),
    Row("`awk`", YES, NAMED, run("awk", "{print}", "in"), needs=("awk",)),
    Row("`perl`", YES, NAMED, run("perl", "-e", "open(F, '<', 'in'); <F>"), needs=("perl",)),
    Row("R: `readLines`", YES, NAMED, run("Rscript", "-e", "x <- readLines('in', warn = FALSE)"), needs=("Rscript",)),
    Row("a C program", YES, NAMED, c(READ)),
    Row("C++: `ifstream`", YES, NAMED, c(STREAM, compiler="c++"), needs=("c++",)),
    Row("a static C program", NAMED, NAMED, c(READ, "-static")),
    Row("a C program that asks the system without the C library", NO, NAMED, c(RAW)),
    Row("a program started without the variables of the run", NAMED, NAMED, lambda watched: watched.python("import subprocess; subprocess.run(['cat', 'in'], env={})")),
    Row("a temporary that is gone at the end", YES, YES, py("import os; open('t', 'w').close(); open('t').read(); os.remove('t')"), ("w t", "r t", "d t")),
    Row("a symbolic link that is read", YES, YES, py("import os; open('link').read()", "import os; os.symlink('in', 'link')"), ("r link",)),
    Row("a directory that is listed", YES, YES, py("import os; os.listdir('d')", "import os; os.mkdir('d')"), ("s d",)),
    Row("`shutil.copy`", YES, YES, py("import shutil; shutil.copy('in', 'out')"), ("r in", "w out")),
    Row("`os.replace` of a temporary", YES, YES, py("import os; open('t', 'w').close(); os.replace('t', 'out')"), ("w t", "m t")),
    Row("a directory that is renamed", YES, YES, py("import os; os.mkdir('a'); open('a/x', 'w').close(); os.rename('a', 'b')"), MOVED),
)  # fmt: skip


def is_here(part: str) -> bool:
    return shutil.which(part) is not None or find_spec(part) is not None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("source", ["library", "hook"])
def test_a_source_sees_what_the_table_says(row: Row, source: str, tmp_path: Path, library: Path) -> None:
    missing = [part for part in row.needs if not is_here(part)]
    if missing:
        pytest.skip(f"{missing[0]} is not here")
    watched = Watched(tmp_path, library if source == "library" else None, hook=source == "hook")
    (watched.place / "in").write_text("some")
    row.start(watched)
    seen, named = watched.seen(), watched.of("xi")
    told = YES if set(row.told) <= set(seen) else NAMED if named else NO
    assert told == getattr(row, source), (seen, named)


def test_the_page_has_the_table_as_it_is_measured() -> None:
    lines = [
        re.split(r" *\| *", line.strip().strip("|").strip()) for line in PAGE.read_text().splitlines() if "|" in line
    ]
    (header,) = [cells for cells in lines if cells[0] == "what is done" and "library" in cells]
    found = {cells[0]: dict(zip(header, cells)) for cells in lines if len(cells) == len(header)}
    for row in ROWS:
        assert row.name in found, f"{row.name} is not on the page"
        assert [found[row.name][source] for source in ("library", "hook")] == [row.library, row.hook], row.name
