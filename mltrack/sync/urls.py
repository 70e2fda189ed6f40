"""The URL of a remote: what is needed to open it, and that it holds no secret. Nothing is opened here."""

from __future__ import annotations

import re

from mltrack.errors import UsageError
from mltrack.patterns import lazy

SCHEME = lazy(r"([A-Za-z][A-Za-z0-9+.-]*)://")
USERINFO = lazy(r"(?<=://)[^/@\s]*@")
LOGIN = lazy(r"(?<=://)[^/?#@\s]*(?::|%3[Aa])(?!\d+(?:/|$))[^@]*@")
"""A name and a password before a host; the password may hold what a URL must not. Digits after a colon are a port."""
SECRET_QUERY = lazy(
    r"[?&#][^=&#]*(?:key|token|secret|pass|pwd|signature|sig|auth|credential|connection)[^=&#]*=", re.IGNORECASE
)

SFTP = ("asyncssh", "sftp")
DAV = ("aiohttp", "webdav")
WEB = ("aiohttp", "http")
EXTRAS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "sftp": SFTP,
    "ssh": SFTP,
    "http": WEB,
    "https": WEB,
    "webdav": DAV,
    "webdavs": DAV,
    "dav": DAV,
    "davs": DAV,
}
"""Scheme -> the module that must be there, and the extra of this distribution that brings it."""

WHERE_CREDENTIALS_BELONG = {
    "s3": "Put it in ~/.aws/credentials or in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "gcs": "Log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
    "azure": "Log in with `az login`, or set AZURE_STORAGE_CONNECTION_STRING.",
    "sftp": "Use an SSH key: ssh-agent, or ~/.ssh.",
    "http": "Put it in ~/.netrc, readable by you alone.",
    "webdav": "Put it in ~/.netrc, readable by you alone.",
}
ELSEWHERE = "Put it where its fsspec library looks: ~/.config/fsspec/*.json."


def scheme_of(url: str) -> str | None:
    """The scheme in small letters; None for a path."""
    found = SCHEME.match(url)
    return None if found is None else found.group(1).lower()


def check_url(url: str) -> None:
    """Raise UsageError for a URL that holds a credential, or that nothing installed here can open."""
    scheme = scheme_of(url)
    if scheme is None:
        if "://" in url:
            raise UsageError(f"{redacted(url)} is not a URL of one filesystem.", "Give a path, or SCHEME://PLACE.")
        return
    module, extra = EXTRAS.get(scheme, ("", ""))
    web = (module, extra) in (WEB, DAV)
    if LOGIN.search(url) or SECRET_QUERY.search(url) or (web and USERINFO.search(url)):
        hint = WHERE_CREDENTIALS_BELONG.get(extra, ELSEWHERE)
        raise UsageError(f"The URL {redacted(url)} holds a password or key, which mltrack never keeps.", hint)
    if web and ("?" in url or "#" in url):
        raise UsageError(
            f"{redacted(url)} is not the URL of a directory: it has a query.", "Leave out what is after the `?`."
        )
    if module:
        if not installed(module):
            raise missing(scheme)
    elif scheme not in ("file", "local", "memory"):
        check_known(scheme)


def installed(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def missing(scheme: str) -> UsageError:
    """What is told where the package for a scheme is not there, or cannot be imported."""
    module, extra = EXTRAS.get(scheme, ("of its fsspec filesystem", ""))
    hint = f"Install mltrack with that extra: mltrack-ledger[{extra}]." if extra else None
    return UsageError(f"{scheme}:// needs the package {module}, which is not installed.", hint)


def check_known(scheme: str) -> None:
    from fsspec.registry import get_filesystem_class

    try:
        get_filesystem_class(scheme)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"{scheme}:// cannot be opened: {error}.", "Give a path, or a URL that an fsspec filesystem knows."
        ) from error


def redacted(url: str) -> str:
    """The URL without what stands before its `@`, and after its `?` or `#`."""
    return USERINFO.sub("", LOGIN.sub("", url)).partition("?")[0].partition("#")[0]
