"""The directory of a live run, `.mltrack/runs/<id>/`, and the lock that says who is at work on it.

    lock            flock: held by the supervisor and shared with the keeper, or by whoever folds a dead run
    start.json process.json beside.json outcome.json stop.json     facts, each whole or absent
    output.log metrics.jsonl params.jsonl artifacts/               what the command leaves, as it comes
    observed/ samples.jsonl processes/                             what its processes did, used, and were

Must not judge who is lost: `operations/running/reconcile.py` does, by the lock and by `live/process.py`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrack.errors import StorageError

LOCK_ATTEMPTS = 3
"""A probe by another command holds the lock for microseconds; it must not look like an owner."""


class RunDir:
    """One run's directory. Making the object touches nothing; `create` makes the directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.output = path / "output.log"
        self.metrics = path / "metrics.jsonl"
        self.params = path / "params.jsonl"
        self.artifacts = path / "artifacts"
        self.observed = path / "observed"
        self.samples = path / "samples.jsonl"
        self.lock_fd: int | None = None
        """The descriptor that holds the lock; processes forked from this one share it."""

    @classmethod
    def create(cls, runs: Path, id: str) -> RunDir:
        """Make `runs/<id>/` with its empty files, locked by us. Raises StorageError when that cannot be written."""
        rundir = cls(runs / id)
        try:
            while True:
                rundir.path.mkdir(parents=True, exist_ok=True)
                if rundir._lock(wait=True):
                    break  # otherwise another command took the empty directory for a dead run's, and removed it
            for journal in (rundir.output, rundir.metrics, rundir.params):
                os.close(os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))
            rundir.artifacts.mkdir(exist_ok=True)
        except OSError as error:
            rundir.unlock()
            raise storage_error(rundir.path, error) from error
        return rundir

    def write(self, name: str, value: Mapping[str, Any], durable: bool = False) -> None:
        """Replace `<name>.json` in one step; with `durable`, it also survives a power cut. Raises StorageError."""
        final = self.path / f"{name}.json"
        new = self.path / f".{name}.{os.getpid()}"
        data = json.dumps(value, separators=(",", ":")).encode()
        try:
            try:
                with open(new, "wb") as file:
                    file.write(data)
                    if durable:
                        file.flush()
                        os.fsync(file.fileno())
                os.replace(new, final)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise storage_error(final, error) from error

    def read(self, name: str) -> dict[str, Any] | None:
        """The value of `<name>.json`; None when it is absent, or was torn by a power cut."""
        try:
            value = json.loads((self.path / f"{name}.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def try_lock(self) -> bool:
        """Take the lock; False when another process has it or the directory is gone."""
        if self.lock_fd is not None:
            return True
        for attempt in range(LOCK_ATTEMPTS):
            if attempt:
                time.sleep(0.001)
            try:
                if self._lock(wait=False):
                    return True
            except BlockingIOError:
                continue
            except OSError:
                return False
        return False

    def unlock(self) -> None:
        """Let go of our hold. Closing, not LOCK_UN: the keeper may share the lock, and keeps it."""
        if self.lock_fd is not None:
            os.close(self.lock_fd)
            self.lock_fd = None

    def is_locked_by_other(self) -> bool:
        """Does another process hold the lock?"""
        import fcntl

        if self.lock_fd is not None:
            return False
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def remove(self) -> None:
        """Take the directory away, in one step for others, and let go. What cannot be deleted is left to the next."""
        from shutil import rmtree

        gone = self.path.with_name(f".{self.id}.gone")
        try:
            os.rename(self.path, gone)
            make_writable(gone)
        except OSError:
            pass
        rmtree(gone, ignore_errors=True)
        self.unlock()

    def _lock(self, wait: bool) -> bool:
        """Take the lock on the file that is there now. False when the file was removed while we waited."""
        import fcntl

        place = self.path / "lock"
        fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(place)):
                self.lock_fd = fd
        except FileNotFoundError:
            pass
        finally:
            if self.lock_fd != fd:
                os.close(fd)
        return self.lock_fd == fd


def make_writable(top: Path) -> None:
    """Let the owner change the directories below: a command may have left read-only ones among its artifacts."""
    for directory, names, _ in os.walk(top):
        for name in names:
            place = os.path.join(directory, name)
            if not os.path.islink(place):
                os.chmod(place, 0o700)


def storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} could not be written: {error.strerror or error}.",
        "Free some space, or check the permissions of its directory.",
    )
