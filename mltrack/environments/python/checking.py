"""Could a recorded environment be built here, now? Looks for everything that its lock names; installs nothing.

The interpreter, the platform, and every distribution: kept with the run, on an index, at an address, or gone. Indexes
are asked through uv, as a build would ask them, all pins at once (`availability.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mltrack.environments import Finding
from mltrack.environments.python.availability import Offer, Question, find_offers
from mltrack.environments.python.bases import Base, Wanted, find_base
from mltrack.environments.python.distributions import UNKNOWN, Distribution, by_name
from mltrack.environments.python.indexes import installer_settings
from mltrack.environments.python.installer import find_uv
from mltrack.environments.python.installing import BY_VERSION, here
from mltrack.environments.python.lock import Lock, read_lock
from mltrack.environments.python.resolve import expanded, wheel_tags
from mltrack.errors import EnvironmentFailed

if TYPE_CHECKING:
    from mltrack.environments import Recorded


def check_python(recorded: Recorded) -> tuple[Finding, ...]:
    """What is found of the interpreter and of each distribution, in this order. Raises EnvironmentFailed, Damaged."""
    if recorded.lock is None:
        raise EnvironmentFailed("The run has no lock of its environment.", "It was not captured; see its warnings.")
    lock = read_lock(recorded.lock)
    program = find_uv(recorded.variables)
    settings = installer_settings(recorded.variables)
    base, finding = find_interpreter(lock, recorded, program)
    pins = tuple(one for one in lock.distributions if is_asked_for(one))
    python = str(base.path) if base is not None else None
    question = Question(pins, lock.python, python, program, settings, recorded.cache, recorded.tell)
    offers, problems = find_offers(question)
    addressed = look_at_addresses(lock, recorded)
    found = [addressed.get(one.name) or describe(one, lock, offers) for one in sorted(lock.distributions, key=by_name)]
    return (finding, *platform_findings(lock), *(Finding(name, text) for name, text in problems.items()), *found)


def is_asked_for(found: Distribution) -> bool:
    """Does an index have to have it?"""
    return found.source in BY_VERSION and found.stored is None and found.version != UNKNOWN


def find_interpreter(lock: Lock, recorded: Recorded, uv: str) -> tuple[Base | None, Finding]:
    """The interpreter that it would be built on."""
    name = f"Python {lock.python}" + ("" if lock.implementation == "cpython" else f" ({lock.implementation})")
    wanted = Wanted(lock.python, lock.implementation, recorded.own_interpreter)
    try:
        base = find_base(wanted, recorded.variables, uv)
    except EnvironmentFailed as error:
        return None, Finding(name, f"{error.message} {error.hint or ''}".strip())
    if base.version == lock.python:
        return base, Finding(name, None, str(base.path))
    return base, Finding(name, f"Not here; {base.version} would be used.", str(base.path))


def platform_findings(lock: Lock) -> tuple[Finding, ...]:
    if lock.platform in ("", here()):
        return ()
    return (Finding(lock.platform, f"The run was on another platform; this is {here()}."),)


def describe(found: Distribution, lock: Lock, offers: Mapping[str, Offer]) -> Finding:
    """What was found of one distribution that has no address of its own."""
    name = f"{found.name} {found.version}".strip()
    if found.source == "project":
        return Finding(name, None, "the run's own code")
    if found.source == "outside":
        if found.tree is not None:
            return Finding(name, None, "stored")
        return Finding(name, "Its directory was outside of the project and was not kept.")
    if found.source == "path":
        return Finding(name, "It was found on PYTHONPATH without being installed, and was not kept.")
    if found.version == UNKNOWN:
        return Finding(name, "Its version is not known.")
    if found.stored is not None:
        return describe_stored(found, lock, name)
    offer = offers.get(found.name)
    if offer is None:
        return Finding(name, "Not known: no index could be asked.")
    if offer.problem is not None:
        return Finding(name, offer.problem)
    if is_replaced(found, offer, lock):
        text = "The index has another file than the run's: it was replaced, or that file was removed."
        return Finding(name, text, offer.place)
    return Finding(name, None, f"{offer.place}, yanked: {offer.yanked}" if offer.yanked else offer.place)


def describe_stored(found: Distribution, lock: Lock, name: str) -> Finding:
    """A wheel that was kept; one for another platform is of no use here."""
    if lock.platform in ("", here()) or (found.stored or "").endswith("-any.whl"):
        return Finding(name, None, "stored")
    return Finding(name, f"Its stored wheel is for {lock.platform}.", "stored")


def is_replaced(found: Distribution, offer: Offer, lock: Lock) -> bool:
    """Does the index list other hashes than the lock has, of the file that would be installed?"""
    if not offer.hashes:
        return False
    tags = expanded(found.tags)
    same = [file for file in found.wheels if tags & wheel_tags(file.name)] if lock.platform in ("", here()) else []
    known = {file.sha256 for file in (same or found.files) if file.sha256} | ({found.sha256} if found.sha256 else set())
    known |= set(found.hashes) if not same else set()
    return bool(known) and not known & set(offer.hashes)


def look_at_addresses(lock: Lock, recorded: Recorded) -> dict[str, Finding]:
    """What is found of archives and repositories at their own addresses, several at a time."""
    from concurrent.futures import ThreadPoolExecutor

    from mltrack.environments.python.addresses import look_at_repository, look_at_url

    found = [one for one in lock.distributions if one.source in ("url", "vcs") and one.stored is None and one.url]
    if not found:
        return {}
    looks = {"url": look_at_url, "vcs": look_at_repository}

    def look(one: Distribution) -> Finding:
        problem = looks[one.source](one.url or "", recorded.variables)
        return Finding(f"{one.name} {one.version}", problem, one.url)

    with ThreadPoolExecutor(8) as pool:
        return dict(zip([one.name for one in found], pool.map(look, found), strict=True))
