"""Which of a record's settings may be used: all of our own; of a stranger's, what cannot reach this machine.

Anyone who may write to a remote can send a record. What it says of mounts, user, network and passed-on variables counts
only where today's settings say the same: then it is the user who asks. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mltrack.environments.docker.settings import listed, read_variables
from mltrack.errors import EnvironmentFailed

if TYPE_CHECKING:
    from mltrack.environments import Recorded

HARMLESS = ("image", "at", "shm", "gpus", "options")
USERS = (None, "caller", "image")
NETWORKS = (None, "none")

Options = Mapping[str, Any]


def trusted(recorded: Recorded) -> dict[str, Any]:
    """The recorded settings for another start; None hides one that only the record, or only today has.

    Raises EnvironmentFailed, naming each that is refused, UsageError for what is no setting at all.
    """
    then = recorded.environment.options
    if recorded.is_ours:
        return {**then, "mounts": mounts_of(then)}
    refused = [sentence for check in CHECKS for sentence in check(then, recorded.options)]
    if refused:
        raise EnvironmentFailed(
            f"The record came from a remote, and asks for what only you may give: {', '.join(refused)}.",
            "If you want it, put it below `environment:` in your own settings (~/.config/mltrack/config.yaml); then it "
            "is you who asks.",
        )
    return {
        **dict.fromkeys(then),
        **{key: then.get(key) for key in (*HARMLESS, "user", "network")},
        "env": {**read_variables(then.get("env") or {}), **passed_on(then, recorded.options)},
        "mounts": mounts_of(then),
    }


def mounts_of(options: Options) -> tuple[str, ...]:
    return listed("mounts", options.get("mounts") or ())


def target(text: str) -> str:
    """The place inside of a mount as it is written."""
    parts = text.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def strange_mounts(then: Options, today: Options) -> Iterator[str]:
    known = {target(text) for text in mounts_of(today)}
    yield from (f"the mount {text!r}" for text in mounts_of(then) if target(text) not in known)


def strange_user(then: Options, today: Options) -> Iterator[str]:
    user = then.get("user")
    if user not in (*USERS, today.get("user")):
        yield f"the user {user!r}"


def strange_network(then: Options, today: Options) -> Iterator[str]:
    network = then.get("network")
    if network not in (*NETWORKS, today.get("network")):
        yield f"the network {network!r}"


def strange_variables(then: Options, today: Options) -> Iterator[str]:
    known = read_variables(today.get("env") or {})
    given = read_variables(then.get("env") or {})
    yield from (f"your variable {name!r}" for name, text in given.items() if text is None and name not in known)


def passed_on(then: Options, today: Options) -> dict[str, str | None]:
    """Variables without a text, as today's settings have them."""
    known = read_variables(today.get("env") or {})
    return {name: known[name] for name, text in read_variables(then.get("env") or {}).items() if text is None}


CHECKS: tuple[Callable[[Options, Options], Iterator[str]], ...] = (
    strange_mounts,
    strange_user,
    strange_network,
    strange_variables,
)
