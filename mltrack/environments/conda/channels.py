"""URLs of conda packages: what of them may be kept, and what they say. Pure."""

from __future__ import annotations

from mltrack.patterns import lazy

TOKEN = lazy(r"/t/[^/]+(?=/)")
"""How a channel's access token stands in a URL."""

PACKAGE = lazy(
    r"(?P<channel>[a-z][a-z0-9+.-]*://[^\s#$@]+)/(?P<subdir>noarch|[a-z0-9]+-[a-z0-9_]+)/(?P<file>[^\s/#$@]+\.(?:conda|tar\.bz2))"
)


def without_credentials(url: str) -> str:
    """A package's URL without user, password, token, query and fragment."""
    scheme, between, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = path.partition("#")[0].partition("?")[0]
    return TOKEN.sub("", f"{scheme}{between}{host.rpartition('@')[2]}{slash}{path}")


def is_remote(url: str) -> bool:
    """Is this a package of a channel that other machines reach too?"""
    return PACKAGE.fullmatch(url) is not None and not url.startswith("file:")


def channel_of(url: str) -> str:
    """`https://host/conda-forge/linux-64/a-1-0.conda` -> `https://host/conda-forge`."""
    return url.rsplit("/", 2)[0]


def channel_name(channel: str) -> str:
    """What users write in `channels:`; the name alone for the public channels, else the URL."""
    for start in ("https://conda.anaconda.org/", "http://conda.anaconda.org/"):
        if channel.startswith(start):
            return channel[len(start) :]
    for start in ("https://repo.anaconda.com/pkgs/", "http://repo.anaconda.com/pkgs/"):
        if channel.startswith(start):
            return f"pkgs/{channel[len(start) :]}"
    return channel
