"""Remotes over SSH, by asyncssh: ~/.ssh/config, the agent, keys and known hosts are those of `ssh`.

A host whose key is not known is refused, never trusted at first sight. Files are written beside their place, synced
where the server can, and renamed over it.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from mltrack.errors import RemoteError
from mltrack.sync.patience import CONNECT, STALL
from mltrack.sync.places import Listed
from mltrack.sync.places_fsspec import Looped

T = TypeVar("T")

SESSIONS = 4
"""Channels of one connection: on long ways each carries only so much at once."""

KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
READ_ONLY = 1
"""The flag of a file system that may not be written, in what `statvfs` tells."""


class Sftp(Looped):
    """A directory on a host that has an SSH server. `/~/` at the start of the path is the user's home."""

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        path = unquote(parts.path).rstrip("/")
        self.root = path[3:] or "." if path.startswith("/~") and path[2:3] in ("", "/") else path or "/"
        self.host = parts.hostname or ""
        self.options: dict[str, Any] = {"connect_timeout": CONNECT, "login_timeout": 2 * CONNECT}
        self.options |= {"keepalive_interval": STALL / 4, "keepalive_count_max": 3}
        if parts.port:
            self.options["port"] = parts.port
        if parts.username:
            self.options["username"] = unquote(parts.username)
        self._open: Any = None
        self._connecting: Any = None

    def read(self, path: str) -> bytes:
        return self.wait(self.get(path, 0, -1), 64 << 20)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        return self.wait(self.get(path, start, length), length) if length > 0 else b""

    def write(self, path: str, data: bytes) -> None:
        self.wait(self.put(path, data), len(data))

    def remove(self, path: str) -> None:
        self.wait(self.delete(path))

    def list(self, folder: str) -> dict[str, Listed]:
        return self.wait(self.find(folder), 64 << 20)

    async def timed(self, work: Coroutine[Any, Any, T], longest: float, moved: object = None) -> T:
        """A request that takes too long ends with its connection: where that stalls, even closing a file would wait."""
        import asyncssh

        timer = self.loop.call_later(longest, self.drop)
        try:
            return await work
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
            self.drop()  # a channel alone may be gone; the next try begins with all new ones
            raise
        finally:
            timer.cancel()

    def drop(self) -> None:
        if self._open is not None:
            self._open.connection.abort()

    async def end(self) -> None:
        if self._open is not None:
            connection, self._open = self._open.connection, None
            connection.close()
            await connection.wait_closed()

    # -- the connection ------------------------------------------------------------------------------------------

    async def session(self) -> Any:
        """A channel for a request; connects if there is no connection, or no longer one."""
        import asyncio

        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._open is None or self._open.connection.is_closed():
                self._open = await self.connect()
        return await self._open.next()

    async def connect(self) -> Channels:
        import asyncssh

        try:
            options = asyncssh.SSHClientConnectionOptions(host=self.host, **self.options)
            known = known_hosts(options.known_hosts)
            connection = await asyncssh.connect(self.host, options=options, known_hosts=known)
        except asyncssh.HostKeyNotVerifiable as error:
            raise self.unknown_host(str(error)) from error
        except asyncssh.PermissionDenied as error:
            raise PermissionError("no key was accepted; is the agent running?") from error
        except (asyncssh.ConfigParseError, asyncssh.KeyImportError) as error:
            raise RemoteError(
                f"~/.ssh/config cannot be used: {error}.", "Mend it, or try `ssh` to that host."
            ) from error
        return Channels(connection)

    def unknown_host(self, reason: str) -> RemoteError:
        port = f"-p {self.options['port']} " if "port" in self.options else ""
        if "revoked" in reason.lower():
            return RemoteError(f"The key of the host {self.host} is marked as revoked.", "Ask who runs that host.")
        return RemoteError(
            f"The key of the host {self.host} is not among the known ones.",
            f"Connect once with `ssh {port}{self.host}`, compare the key that it shows, and accept it.",
        )

    # -- requests ------------------------------------------------------------------------------------------------

    def path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    async def get(self, path: str, start: int, length: int) -> bytes:
        session = await self.session()
        with plainly(path):
            async with session.open(self.path(path), "rb") as file:
                return bytes(await file.read(length, start))

    async def put(self, path: str, data: bytes) -> None:
        session = await self.session()
        folder, _, name = path.rpartition("/")
        partial = self.path(f"{folder}/.{name}.{os.urandom(6).hex()}".lstrip("/"))
        with plainly(path):
            try:
                await self.fill(session, partial, data, folder)
                await replace(session, partial, self.path(path))
            except BaseException as error:
                try:
                    await self.explain(session, error)
                finally:  # last, for it makes room on a full disk
                    await self.clean(session, partial)
                raise

    async def fill(self, session: Any, partial: str, data: bytes, folder: str) -> None:
        """Write a new file, in a folder that is made if it is not there."""
        import asyncssh

        try:
            file = await session.open(partial, "xb")
        except asyncssh.SFTPNoSuchFile:
            await self.make_folders(session, folder)
            file = await session.open(partial, "xb")
        async with file:
            await file.write(data)
            with suppress(asyncssh.SFTPOpUnsupported):
                await file.fsync()

    async def make_folders(self, session: Any, folder: str) -> None:
        """The folder of the remote and those in it; what that lies in must be there: an unmounted disk is no place."""
        import asyncssh

        parts = folder.split("/") if folder else []
        for depth in range(len(parts) + 1):
            path = self.path("/".join(parts[:depth]))
            try:
                await session.mkdir(path)
            except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
                if not await session.isdir(path):
                    raise

    async def clean(self, session: Any, partial: str) -> None:
        with suppress(Exception):
            await session.remove(partial)

    async def explain(self, session: Any, error: BaseException) -> None:
        """The protocol has one word, failure, for a full disk, one that may not be written, and all else."""
        import errno

        import asyncssh

        if type(error) is not asyncssh.SFTPFailure:
            return
        disk = None
        with suppress(Exception):
            disk = await session.statvfs(self.root)
        if disk is not None and disk.flags & READ_ONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS)) from error
        if disk is not None and (not disk.bavail or (disk.files and not disk.favail)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error

    async def delete(self, path: str) -> None:
        session = await self.session()
        with plainly(path):
            await session.remove(self.path(path))

    async def find(self, folder: str) -> dict[str, Listed]:
        import asyncio

        session = await self.session()
        gate = asyncio.Semaphore(32)
        found: dict[str, Listed] = {}

        async def look(below: str) -> None:
            async with gate:
                try:
                    with plainly(folder):
                        entries = await session.readdir(self.path(f"{folder}/{below}".strip("/")))
                except FileNotFoundError:
                    return
            deeper = []
            for entry in entries:
                path = f"{below}/{entry.filename}".lstrip("/")
                if entry.filename.startswith("."):
                    continue
                if entry.attrs.type == 2:
                    deeper.append(look(path))
                else:
                    found[path] = Listed(entry.attrs.size, entry.attrs.mtime)
            await asyncio.gather(*deeper)

        await look("")
        if not found:
            with plainly(folder):
                if not await session.exists(self.root):
                    await session.stat(os.path.dirname(self.root) or ".")
        return found


class Channels:
    """A connection, and the channels on it, used in turn."""

    def __init__(self, connection: Any) -> None:
        import asyncio

        self.connection = connection
        self.sessions: list[Any] = []
        self.most = SESSIONS
        self.turn = 0
        self.opening = asyncio.Lock()

    async def next(self) -> Any:
        import asyncssh

        self.turn += 1
        async with self.opening:
            if len(self.sessions) < min(self.turn, self.most):
                try:
                    self.sessions.append(await self.connection.start_sftp_client())
                except asyncssh.ChannelOpenError:  # the server allows fewer
                    self.most = len(self.sessions)
                    if not self.most:
                        raise
        return self.sessions[self.turn % len(self.sessions)]


def known_hosts(configured: Any) -> Any:
    """The files of known hosts that are there: those that ~/.ssh/config names, else the usual ones."""
    files = [os.path.expanduser(str(file)) for file in configured or KNOWN_HOSTS]
    return [file for file in files if os.access(file, os.R_OK)] or b""


async def replace(session: Any, partial: str, target: str) -> None:
    """Rename over what is there; without the extension for it, that is removed before."""
    import asyncssh

    try:
        await session.posix_rename(partial, target)
    except asyncssh.SFTPOpUnsupported:
        with suppress(asyncssh.SFTPNoSuchFile):
            await session.remove(target)
        await session.rename(partial, target)


class plainly:  # read as a word, as contextlib's are
    """Turns the errors of SFTP into those of the system, where there are such."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import errno

        import asyncssh

        if isinstance(error, (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)):
            raise FileNotFoundError(self.path) from error
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error
        if isinstance(error, asyncssh.SFTPWriteProtect):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS)) from error
        if isinstance(error, (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
