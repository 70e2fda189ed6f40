"""Projects of pixi: pixi.lock beside what is installed, and a run by pixi itself of what it started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.environments.command import Command
from mltrack.environments.conda.channels import without_credentials
from mltrack.environments.conda.lock import CondaLock
from mltrack.environments.conda.prefixes import option, pixi_manifests
from mltrack.environments.conda.tools import Tool, run
from mltrack.environments.interpreter import locate
from mltrack.environments.python.distributions import listed
from mltrack.nouns import noun
from mltrack.records import Warning

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCK = "pixi.lock"
FROZEN = "--frozen"


@noun
class PixiProject:
    """A project that pixi can build again, as its own lock says."""

    program: str
    manifest: Path
    environment: str

    @property
    def prefix(self) -> Path:
        return self.manifest.parent / ".pixi" / "envs" / self.environment


def find_project(command: Command, workspace: Path, variables: Mapping[str, str]) -> PixiProject | None:
    """The pixi project of a command that pixi started, if pixi and the project's lock are here. The PATH of `variables`
    counts, not one that the recorded command sets: it may lead into the tree."""
    launcher = command.launcher
    program = locate("pixi", workspace, variables)
    if launcher is None or launcher.name != "pixi" or program is None:
        return None
    for manifest in pixi_manifests(command.cwd, option(launcher.options, "--manifest-path")):
        if workspace in manifest.parents and (manifest.parent / LOCK).is_file():
            name = option(launcher.options, "-e", "--environment") or "default"
            return PixiProject(str(program), manifest, name)
    return None


def install_frozen(project: PixiProject, variables: Mapping[str, str]) -> None:
    """Let pixi install what its lock says, into the project. Raises EnvironmentFailed with its own words."""
    words = [project.program, "install", FROZEN, "--manifest-path", str(project.manifest), "-e", project.environment]
    run(Tool("pixi", project.program), words, project.manifest.parent, variables)


def frozen_command(command: Command, program: str) -> tuple[str, ...]:
    """The command as pixi starts it without looking whether its lock is up to date."""
    options = command.launcher.options if command.launcher is not None else ()
    more = () if FROZEN in options else (FROZEN,)
    return (*command.kept, program, "run", *more, *options, *command.argv)


def disagreement(prefix: Path, lock: CondaLock) -> tuple[Warning, ...]:
    """A warning if the prefix is an environment of pixi, and its lock names other packages than are installed."""
    if prefix.parent.name != "envs" or prefix.parent.parent.name != ".pixi":
        return ()
    text = read(prefix.parent.parent.parent / LOCK)
    wanted = urls_of(text, prefix.name, lock.platform) if text is not None else None
    if wanted is None:
        return ()
    files = {url.rpartition("/")[2] for url in wanted}
    here = {package.file: package.name for package in lock.packages}
    others = {here[file] for file in here.keys() - files} | {file.rsplit("-", 2)[0] for file in files - here.keys()}
    sentence = f"What is installed is not what {LOCK} says: {listed(sorted(others))}."
    return (Warning("environment", sentence),) if others else ()


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def urls_of(text: bytes, environment: str, platform: str) -> set[str] | None:
    """The conda packages that the lock names for an environment; None if it cannot be understood."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        rows = yaml.load(text, loader)["environments"][environment]["packages"][platform]
        urls = [row["conda"] for row in rows if "conda" in row]
        return {without_credentials(url) for url in urls if url.endswith((".conda", ".tar.bz2"))}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
