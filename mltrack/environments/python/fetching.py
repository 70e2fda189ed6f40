"""Fetches wheels and sdists from where a lock says they are, each proved by its hash.

By HTTP with the standard library: proxies and certificates are those of the environment variables; credentials those
of the user's own index settings for the same host, and of ~/.netrc. They are sent to that host only.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from mltrack.environments.python.distributions import File
from mltrack.environments.python.indexes import Settings
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

AT_ONCE = 8
SECONDS = 30
BLOCK = 1 << 20
TRIES = 3


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
            found = download(file.url, target, variables, logins)
        except (OSError, URLError, ValueError) as error:
            why = f"{file.name}: {getattr(error, 'reason', None) or error}"
            if getattr(error, "code", 500) < 500:
                break
            continue
        if found == file.sha256:
            return target
        target.unlink(missing_ok=True)
        why = f"{file.name} is another file there than its hash says"
        break
    raise EnvironmentFailed(why)


def download(url: str, target: Path, variables: Mapping[str, str], logins: Mapping[str, str]) -> str:
    """Write what a URL gives to a file; its sha256. Raises OSError, URLError."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return copied(Path(unquote(parts.path)), target)
    request = Request(url, headers={"User-Agent": "mltrack"})
    login = logins.get(parts.netloc)
    if login is not None:
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    state = hashlib.sha256()
    with opener(variables).open(request, timeout=SECONDS) as answer, target.open("wb") as file:
        while block := answer.read(BLOCK):
            state.update(block)
            file.write(block)
    return state.hexdigest()


def copied(source: Path, target: Path) -> str:
    state = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(BLOCK):
            state.update(block)
            writing.write(block)
    return state.hexdigest()


def opener(variables: Mapping[str, str]):  # type: ignore[no-untyped-def]  # urllib's own type has no name
    """Opens URLs through the proxies and with the certificates that these variables name; http and https only."""
    proxies = {
        kind: found
        for kind in ("http", "https")
        for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY", "all_proxy", "ALL_PROXY")
        if (found := variables.get(name))
    }
    context = ssl.create_default_context(cafile=variables.get("SSL_CERT_FILE") or None)
    return build_opener(ProxyHandler(proxies), HTTPSHandler(context=context), HTTPRedirectHandler())


def logins_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Host (with its port) -> `user:password`, from the URLs of the configured indexes and from ~/.netrc."""
    logins = netrc_logins(Path(variables.get("NETRC") or Path(variables.get("HOME", "/nonexistent")) / ".netrc"))
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        for word in variables.get(name, "").split():
            parts = urlsplit(word.partition("=")[2] if "=" in word.partition("://")[0] else word)
            user, _, host = parts.netloc.rpartition("@")
            if user:
                logins[host] = unquote(user)
    return logins


def netrc_logins(path: Path) -> dict[str, str]:
    """The logins of a netrc file; none if it cannot be read."""
    import netrc

    try:
        hosts = netrc.netrc(os.fspath(path)).hosts
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return {}
    return {host: f"{login}:{password}" for host, (login, _, password) in hosts.items() if host != "default"}
