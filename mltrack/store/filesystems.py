"""What kind of filesystem a path lies on, and what may be asked of it. Looks only; nothing is opened for writing.

Over a network SQLite's WAL does not work: its index is memory that processes share, and two machines share none. There
the rollback journal is used, and it is kept (PERSIST): a client whose view of a directory is some seconds old must not
miss a journal that another client left in the middle of a transaction, and a file that is always there and is opened
anew each time cannot be missed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.store.disk import remove, temporary_beside
from mltrack.store.locks import lock_file

if TYPE_CHECKING:
    import sqlite3

NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "lustre", "gpfs", "ceph", "afs", "coda", "beegfs",
    "beegfs_nodev", "glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "gfs2", "ocfs2", "ncpfs", "vboxsf", "drvfs",
    "prl_fs", "davfs", "macfuse", "osxfuse", "webdav", "afpfs",
}  # fmt: skip
"""Files that another machine may change too."""

IN_MEMORY = {"tmpfs", "ramfs", "hugetlbfs"}

BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite puts beside a database, after its name."""

JOURNAL_BYTES = 1 << 20
"""To which a kept journal is cut back."""

BUSY_S = 30
"""How long the switch of a journal waits for those who have the database open."""


@noun
class Mount:
    """A mounted filesystem. `options` are those of the mount and of the filesystem itself."""

    kind: str
    place: str
    options: frozenset[str] = frozenset()

    @property
    def is_network(self) -> bool:
        """May other machines see it? Of FUSE (but for `fuseblk`, a local disk) nothing is known, so it counts."""
        return self.kind in NETWORK or self.kind == "fuse" or self.kind.startswith("fuse.")

    @property
    def is_trusted(self) -> bool:
        """Do equal stat fields prove that a file was not changed?"""
        return not self.is_network and self.kind not in IN_MEMORY

    @property
    def locks_stay_here(self) -> bool:
        """Is a lock seen by this machine only?"""
        local = {"nolock", "local_lock=all", "local_lock=posix", "local_lock=flock", "nobrl", "localflock"}
        return not local.isdisjoint(self.options) or self.kind.startswith("fuse.sshfs")


NOWHERE = Mount("", "")
"""For systems that do not tell: taken for a local disk."""


def mount_of(path: Path) -> Mount:
    """The mount that a path, or the nearest directory above it that is there, lies on. Linux only; else NOWHERE."""
    place = path.absolute()
    while True:
        try:
            handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
            break
        except AttributeError:
            return NOWHERE
        except OSError:
            if place.parent == place:
                return NOWHERE
            place = place.parent
    try:
        lines = Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines()
    except OSError:
        return NOWHERE
    finally:
        os.close(handle)
    number = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), "")
    return _find(0, number)


def mount_of_device(device: int) -> Mount:
    """The mount with that device number; NOWHERE if there is none (btrfs gives its subvolumes numbers of their own)."""
    return _find(2, f"{os.major(device)}:{os.minor(device)}")


def _find(column: int, value: str) -> Mount:
    """The line of mountinfo with that value."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return NOWHERE
    for line in mounts.splitlines():
        words = line.split(" ")
        if words[column] == value:
            rest = words[words.index("-") + 1 :]
            options = frozenset(words[5].split(",") + (rest[2].split(",") if len(rest) > 2 else []))
            return Mount(rest[0], words[4].encode().decode("unicode_escape"), options)
    return NOWHERE


def open_database(path: Path, connect: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    """What `connect` opens, with the journal that works where it lies. Raises sqlite3.Error.

    A new one on a local disk gets WAL. One in WAL that was moved to a network leaves it, without the shared memory. The
    other way nothing is switched: what is a local disk here may be the network of others.
    """
    import sqlite3

    is_network = mount_of(path.parent).is_network
    if journal_of(path) == "new":
        _make(path, "PERSIST" if is_network else "WAL")
    end = time.monotonic() + BUSY_S
    while True:
        if is_network:
            leave_wal(path)
        database = connect()
        try:
            if _use_journal(database, "wal" if not is_network and journal_of(path) == "wal" else "persist"):
                return database
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                database.close()
                raise
        except BaseException:
            database.close()
            raise
        # Another client is just switching it: what it removed we may still see for a moment, and the other way round.
        database.close()
        time.sleep(0.05)


def _use_journal(database: sqlite3.Connection, mode: str) -> bool:
    """Set the journal of a connection; False if the database is, or was just now, in another mode."""
    if mode != "wal" and database.execute("PRAGMA journal_mode = PERSIST").fetchone()[0] != mode:
        return False
    database.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
    return True


def _make(path: Path, mode: str) -> None:
    """A new database, with that journal from its first byte.

    It appears under its name as it is to be: were an empty one switched to WAL there, then whoever has it open over a
    network would follow, without a look at where it lies.
    """
    import sqlite3

    temporary = temporary_beside(path)
    try:
        database = sqlite3.connect(temporary, isolation_level=None)
        try:
            database.execute(f"PRAGMA journal_mode = {mode}")
            database.execute("PRAGMA user_version = 0")  # writes the first page
        finally:
            database.close()
        link_or_leave(temporary, path)
    finally:
        for suffix in BESIDE:
            remove(temporary + suffix)


def link_or_leave(temporary: str, path: Path) -> None:
    """Name a file, unless another process was faster."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        if not path.exists():  # no hard links here
            os.rename(temporary, path)


def journal_of(path: Path) -> str:
    """ "wal" or "rollback", by the header of the database; "new" if there is none yet."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except FileNotFoundError:
        return "new"
    return "new" if len(head) < 20 else "wal" if head[18:20] == b"\x02\x02" else "rollback"


def leave_wal(path: Path) -> None:
    """Bring what is in the WAL of a database into it, as its only user: so no memory is shared.

    Waits for those who have it open, and raises sqlite3.OperationalError when that takes too long.
    """
    import random

    if journal_of(path) != "wal":
        return
    place = f"{path}.switch"
    handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        # One after the other: a client that only looks at the WAL meanwhile would go on seeing it when it is gone.
        lock_file(handle, wait=True)
        end = time.monotonic() + BUSY_S
        while journal_of(path) == "wal" and not _switch(path, is_last=time.monotonic() > end):
            time.sleep(random.uniform(0, 0.05))
    finally:
        os.close(handle)  # the file stays: over NFS, others who wait for it would be told that it is stale


def _switch(path: Path, is_last: bool) -> bool:
    """One attempt, on a connection of its own; False if another has the database open."""
    import sqlite3

    database = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = PERSIST")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) or is_last:
            raise
        return False
    finally:
        database.close()
    return True
