"""Fetches wheels and sdists from where a lock says they are, each proved by its hash.

By HTTP with the standard library: proxies and certificates are those of the environment variables; credentials those
of the user's own index settings for the same scheme and host, and of ~/.netrc. They are sent to that host only.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from mltrack.environments.python.distributions import File
from mltrack.environments.python.indexes import Settings
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

AT_ONCE = 8
SECONDS = 30
BLOCK = 1 << 20
TRIES = 3
MOST_BYTES = 8 << 30
"""Of one file whose size nobody told."""


@noun
class Fetched:
    """Files that were fetched, by name, and why others were not."""

    files: Mapping[str, Path]
    problems: Mapping[str, str]


def fetch_all(files: Sequence[File], directory: Path, settings: Settings, tell: Callable[[str], None]) -> Fetched:
    """Fetch files into a directory, several at once. Never raises: what cannot be had is a problem."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    directory.mkdir(parents=True, exist_ok=True)
    logins = logins_of(settings.variables)
    done: dict[str, Path] = {}
    problems: dict[str, str] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(fetch, file, directory, settings.variables, logins): file for file in files}
        for number, future in enumerate(as_completed(waiting), 1):
            file = waiting[future]
            try:
                done[file.name] = future.result()
            except EnvironmentFailed as error:
                problems[file.name] = error.message
            if number % 20 == 0:
                tell(f"fetched {number} of {len(files)} wheels")
    return Fetched(done, problems)


def fetch(file: File, directory: Path, variables: Mapping[str, str], logins: Mapping[str, str]) -> Path:
    """Fetch one file. Raises EnvironmentFailed if it is not there, or is not the one that the hash names."""
    if file.url is None or file.sha256 is None:
        raise EnvironmentFailed(f"nobody knows where {file.name} is")
    target = directory / file.name
    why = ""
    for _ in range(TRIES):
        try:
            if download(file, target, variables, logins) == file.sha256:
                return target
            why = f"{file.name} is another file there than its hash says"
            break
        except (OSError, HTTPException, ValueError) as error:
            why = f"{file.name}: {reason_of(error)}"
            if isinstance(error, ValueError) or getattr(error, "code", 500) < 500:
                break
    target.unlink(missing_ok=True)
    raise EnvironmentFailed(why)


def reason_of(error: Exception) -> str:
    """Why a URL was not read, in a few words."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def download(file: File, target: Path, variables: Mapping[str, str], logins: Mapping[str, str]) -> str:
    """Write what the URL of a file gives; its sha256. Raises OSError, HTTPException, ValueError if it is no file that
    could be the right one."""
    url, most = file.url or "", MOST_BYTES if file.size_bytes is None else file.size_bytes
    parts = urlsplit(url)
    if parts.scheme == "file":
        source = Path(unquote(parts.path))
        if source.exists() and not source.is_file():
            raise ValueError("it is not a regular file")
        with source.open("rb") as reading:
            return copied(reading, target, most)
    with opener(variables).open(request_for(url, logins), timeout=SECONDS) as answer:
        return copied(answer, target, most)


def copied(reading: IO[bytes], target: Path, most: int) -> str:
    """Write what is read to a file; its sha256. Raises ValueError when it is more than so many bytes."""
    state, total = hashlib.sha256(), 0
    with target.open("wb") as writing:
        while block := reading.read(BLOCK):
            total += len(block)
            if total > most:
                raise ValueError(f"it is larger than {most} bytes")
            state.update(block)
            writing.write(block)
    return state.hexdigest()


def request_for(url: str, logins: Mapping[str, str], **options: Any) -> Request:
    """A request with the login of its own host, which a redirection does not take along."""
    parts = urlsplit(url)
    request = Request(url, **options)
    request.add_header("User-Agent", "mltrack")
    login = logins.get(f"{parts.scheme}://{parts.netloc}") or logins.get(parts.hostname or "")
    if login is not None:
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    return request


def opener(variables: Mapping[str, str]) -> OpenerDirector:
    """Opens URLs through the proxies and with the certificates that these variables name; http and https only."""
    proxies = {
        kind: found
        for kind in ("http", "https")
        for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY", "all_proxy", "ALL_PROXY")
        if (found := variables.get(name))
    }
    context = ssl.create_default_context(cafile=variables.get("SSL_CERT_FILE") or None)
    handlers = (HTTPHandler(), HTTPSHandler(context=context), HTTPRedirectHandler(), HTTPErrorProcessor())
    director = OpenerDirector()
    for handler in (ProxyHandler(proxies), *handlers, HTTPDefaultErrorHandler(), UnknownHandler()):
        director.add_handler(handler)
    return director


def logins_of(variables: Mapping[str, str]) -> dict[str, str]:
    """`scheme://host:port` of a configured index, and the name of a host in ~/.netrc -> `user:password`."""
    logins = netrc_logins(Path(variables.get("NETRC") or Path(variables.get("HOME", "/nonexistent")) / ".netrc"))
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        for word in variables.get(name, "").split():
            parts = urlsplit(word.partition("=")[2] if "=" in word.partition("://")[0] else word)
            user, _, host = parts.netloc.rpartition("@")
            if user:
                logins[f"{parts.scheme}://{host}"] = unquote(user)
    return logins


def netrc_logins(path: Path) -> dict[str, str]:
    """The logins of a netrc file, but for the one that it has for all other hosts; none if it cannot be read."""
    import netrc

    try:
        hosts = netrc.netrc(os.fspath(path)).hosts
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return {}
    return {host: f"{login}:{password}" for host, (login, _, password) in hosts.items() if host != "default"}
