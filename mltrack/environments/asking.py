"""Questions to servers of packages: is a file there, and its bytes. Proxies are those of the variables given.

Knows HTTP only; what is asked, and what an answer means, is the kind's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

SECONDS = 30
TRIES = 3
TOGETHER = 8
"""Requests at one time; channels are served by networks that bear more, and not every proxy does."""

A = TypeVar("A")
B = TypeVar("B")


def together(work: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """What the work gives for each item, in their order; several are under way at one time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(work, items))


def ask(url: str, method: str, variables: Mapping[str, str]) -> Any:
    """The answer of a server, to be closed. Raises OSError, ValueError for an address that is none of HTTP."""
    from urllib.request import ProxyHandler, Request, build_opener

    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url.partition(':')[0]} is no way that mltrack can ask")
    request = Request(url, method=method, headers={"User-Agent": "mltrack"})
    return build_opener(ProxyHandler(proxies_for(url, variables))).open(request, timeout=SECONDS)


def ask_patiently(url: str, method: str, variables: Mapping[str, str]) -> Any:
    """The answer, asked for again where a server or a line is out of order. Raises OSError, ValueError."""
    for turn in range(TRIES):
        try:
            return ask(url, method, variables)
        except OSError as error:
            if is_final(error) or turn == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def proxies_for(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The proxies that these variables name for a URL, by scheme."""
    names = {name.lower(): text for name, text in variables.items()}
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
    ends = [part.strip().lstrip(".") for part in names.get("no_proxy", "").split(",") if part.strip()]
    if any(end == "*" or host == end or host.endswith(f".{end}") for end in ends):
        return {}
    return {scheme: text for scheme in ("http", "https") if (text := names.get(f"{scheme}_proxy"))}


def is_final(error: Exception) -> bool:
    """Would asking again give the same answer?"""
    status = getattr(error, "code", None)
    return isinstance(status, int) and status < 500 and status not in (408, 429)


def words_of(error: Exception) -> str:
    """`404 Not Found`, or what the system said."""
    status = getattr(error, "code", None)
    return f"{status} {getattr(error, 'reason', '')}".strip() if status else str(getattr(error, "reason", error))
