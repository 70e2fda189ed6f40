"""A project: a directory with `.mltrack/`. Finds its root, and opens its ledger, store and remotes on first use.

Rooms below are handed paths, a store or a ledger; only the operations hold a Project.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.config import PROJECT_FILE, Config, load_config
from mltrack.errors import NotFound, StorageError
from mltrack.progress import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache
    from mltrack.sync.patience import Patience
    from mltrack.sync.remote import Remote

STATE = ".mltrack"
LENT = "--from"
"""The remote of one command, by the option that names it."""
KEY_SIZE = 32


class Project:
    """`root` is where relative paths of a record begin; `state` is its `.mltrack/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / STATE
        self.runs = self.state / "runs"
        self.work = self.state / "work"
        self.expanded = self.state / "expanded"
        self.progress = Work()
        """Bytes of the user's data that are read and kept."""
        self.tell: Callable[[str], None] | None = None
        """Told when a request to a remote is made again."""
        self.patience: Patience | None = None
        """With remotes; by default that of work which cannot go on without them."""

    @classmethod
    def find(cls, start: Path) -> Project | None:
        """The project that `start` lies in, if it has a `.mltrack/` already."""
        root = find_root(start)
        return cls(root) if root is not None and (root / STATE).is_dir() else None

    @classmethod
    def get(cls, start: Path) -> Project:
        """Like `find`, but raises NotFound with advice."""
        project = cls.find(start)
        if project is None:
            raise NotFound("There is no mltrack project here.", "Record a first run with `mltrack run -- COMMAND`.")
        return project

    @classmethod
    def open(cls, start: Path) -> Project:
        """The project that `start` lies in; its `.mltrack/` is made if it is not there."""
        project = cls(find_root(start) or start)
        project.make()
        return project

    def make(self) -> None:
        """Make `.mltrack/`, invisible to git by a `.gitignore` of its own."""
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            ignore = self.state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise StorageError(
                f"{self.state} cannot be written: {error.strerror}.",
                "mltrack keeps a project's runs there: free some space or make the directory writable.",
            ) from error

    def check_formats(self) -> None:
        """Refuse before a command starts what could not be recorded after it. Raises FormatTooNew or Damaged."""
        from mltrack.ledger.schema import check_header
        from mltrack.store.marker import check_marker

        check_header(self.state / "ledger.db")
        check_marker(self.state / "store")

    @cached_property
    def config(self) -> Config:
        return load_config(self.root, os.environ)

    def reload(self) -> None:
        """Read the settings again: they were changed."""
        self.__dict__.pop("config", None)

    @cached_property
    def store(self) -> Store:
        from mltrack.store.objects import Store

        return Store.open(self.state / "store")

    @cached_property
    def ledger(self) -> Ledger:
        from mltrack.ledger.ledger import Ledger

        return Ledger.open(self.state / "ledger.db")

    @cached_property
    def stat_cache(self) -> StatCache:
        from mltrack.store.statcache import StatCache

        return StatCache.open(self.state / "stat.db")

    @cached_property
    def key(self) -> bytes:
        """The secret of this checkout's keyed digests; it never leaves the machine."""
        path = self.state / "key"
        if not path.exists():
            temporary = self.state / f"key.{os.getpid()}"
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(os.urandom(KEY_SIZE))
            try:
                os.link(temporary, path)  # the first writer wins, so that two first runs share one key
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return path.read_bytes()

    def remote(self, name: str | None = None) -> Remote:
        """The remote of that name; by default `origin`, or the only one there is."""
        import hashlib

        from mltrack.sync.remote import Remote

        remotes = self.config.remotes
        if name is None:
            name = "origin" if "origin" in remotes or len(remotes) != 1 else next(iter(remotes))
        if name not in remotes:
            known = f"Known remotes: {', '.join(sorted(remotes))}." if remotes else ""
            raise NotFound(
                f"There is no remote called {name}.", f"{known} Add one: mltrack remote add {name} URL".strip()
            )
        url = remotes[name]
        memory = name if name != LENT else f"from-{hashlib.sha256(os.fsencode(url)).hexdigest()[:16]}"
        remote = Remote(url if "://" in url else str(self.root / url), self.state / "remotes" / memory)
        remote.tell = self.tell
        remote.patience = self.patience or remote.patience
        return remote

    def lend(self, url: str) -> str:
        """A remote that is there as long as this project is open, and asked first; its name. No setting knows of it."""
        self.__dict__["config"] = replace(self.config, remotes={LENT: url, **self.config.remotes})
        return LENT

    def close(self) -> None:
        """Close what was opened. Safe to call twice."""
        for name in ("store", "ledger", "stat_cache"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def find_root(start: Path) -> Path | None:
    """The nearest directory upwards with `.mltrack/`, `mltrack.yaml` or `.git`; None when there is none."""
    for place in (start, *start.parents):
        for mark in (STATE, PROJECT_FILE, ".git"):
            if os.path.lexists(place / mark):
                return place
    return None
