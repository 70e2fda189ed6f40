"""Could a recorded R environment be built here, now?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.environments import Finding
from mltrack.environments.asking import ask_patiently, together, words_of
from mltrack.environments.interpreter import locate
from mltrack.environments.r.building import lacking
from mltrack.environments.r.interpreter import ask_r
from mltrack.environments.r.libraries import RPackage, read_packages
from mltrack.environments.r.lock import read_lock, repositories

if TYPE_CHECKING:
    from mltrack.environments import Recorded

HERE = "this machine"


def look(recorded: Recorded) -> tuple[Finding, ...]:
    """R itself, then each package."""
    lock = read_lock(recorded.lock)
    program = locate("Rscript", Path.cwd(), recorded.variables)
    if program is None:
        r, finding = None, Finding(f"R {lock.version}", "R is not on this machine.")
    else:
        r = ask_r(program, Path.cwd(), recorded.variables)
        problem = None if r.version == lock.version else f"The R of this machine is {r.version}."
        finding = Finding(f"R {lock.version}", problem, HERE)
    away = {package.name for package in lacking(lock, read_packages(r.libraries if r else ()))}
    urls = list(repositories(lock.renv).values())

    def find(package: RPackage) -> Finding:
        name = f"{package.name} {package.version}"
        return look_for(package, urls, recorded) if package.name in away else Finding(name, None, HERE)

    return (finding, *together(find, lock.packages))


def look_for(package: RPackage, urls: list[str], recorded: Recorded) -> Finding:
    """A package that is not installed here: in a repository, or in its archive of older versions?"""
    name = f"{package.name} {package.version}"
    if package.repository is None:
        kind = package.remote.get("RemoteType", "a file")
        return Finding(name, f"It was installed from {kind}, which is not asked here.", package.remote.get("RemoteUrl"))
    file, reason = f"{package.name}_{package.version}.tar.gz", "no repository is named"
    for url in urls:
        for place in ("src/contrib", f"src/contrib/Archive/{package.name}"):
            try:
                ask_patiently(f"{url.rstrip('/')}/{place}/{file}", "HEAD", recorded.variables).close()
                return Finding(name, None, url)
            except (OSError, ValueError) as error:
                reason = words_of(error)
    return Finding(name, f"Its repository does not give it: {reason}.", urls[0] if urls else None)
