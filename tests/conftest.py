"""The walls: a home of its own, a clean git, and a list of the parts that were missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import pytest

PARTS = {
    # part -> (how to see that it is here, the Debian package that brings it)
    "ip": (lambda: shutil.which("ip") and os.geteuid() == 0, "iproute2 (and root)"),
    "mount": (lambda: os.geteuid() == 0 and shutil.which("mount"), "mount (and root)"),
    "git-lfs": (lambda: shutil.which("git-lfs"), "git-lfs"),
    "sshd": (lambda: _server("sshd") and shutil.which("ssh-agent"), "openssh-server and openssh-client"),
    "radosgw": (lambda: _server("radosgw") and _server("ceph-osd"), "radosgw, ceph-mon and ceph-osd"),
    "nginx": (lambda: _server("nginx"), "nginx-light"),
    "azurite": (lambda: (CACHE / "azurite/node_modules/.bin/azurite-blob").exists(), "npm's azurite: make real-parts"),
    "mkfs.xfs": (lambda: _server("mkfs.xfs") and os.geteuid() == 0, "xfsprogs (and root)"),
    "mkfs.btrfs": (lambda: _server("mkfs.btrfs") and os.geteuid() == 0, "btrfs-progs (and root)"),
    "sshfs": (
        lambda: (
            shutil.which("sshfs") and os.path.exists("/usr/lib/openssh/sftp-server") and os.path.exists("/dev/fuse")
        ),
        "sshfs and openssh-sftp-server (and /dev/fuse)",
    ),
    "uml": (
        lambda: shutil.which("linux.uml") and all(map(_server, ("rpc.nfsd", "mount.nfs", "rpcbind", "modprobe", "ip"))),
        "user-mode-linux, nfs-kernel-server, nfs-common, rpcbind, kmod and iproute2",
    ),
    "awk": (lambda: shutil.which("awk"), "mawk"),
    "docker": (
        lambda: (
            all(map(_server, ("dockerd", "docker", "docker-registry")))
            and os.geteuid() == 0
            and (CACHE / "base.tar").exists()
        ),
        "docker.io, iptables, docker-registry and an image: make real-parts (and root)",
    ),
    "rattler": (lambda: _installed("rattler"), "the PyPI package py-rattler (mltrack's extra `conda`)"),
    "cc": (lambda: shutil.which("cc") or shutil.which("gcc"), "gcc and libc6-dev"),
    "c++": (lambda: shutil.which("c++") and shutil.which("make"), "g++ and make"),
    "strace": (lambda: shutil.which("strace"), "strace"),
    "Rscript": (lambda: shutil.which("Rscript"), "r-base-core"),
    "dash": (lambda: shutil.which("dash"), "dash"),
    "zsh": (lambda: shutil.which("zsh"), "zsh"),
    "fish": (lambda: shutil.which("fish"), "fish"),
    "mpirun": (lambda: shutil.which("mpirun"), "openmpi-bin"),
    "chromium": (lambda: shutil.which("chromium"), "chromium"),
    "torch": (lambda: _installed("torch"), "the PyPI package torch (not a system part: never a failure)"),
}
_missing: dict[str, list[str]] = defaultdict(list)


CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mltrack-tests"
"""What `make real-parts` keeps that is no Debian package."""


def _server(program: str) -> str | None:
    """Where a server's program lies: not every PATH has sbin."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def _installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("needs"):
            part = mark.args[0]
            seen, package = PARTS[part]
            if not seen():
                _missing[f"{part}: not here; it comes with {package}"].append(item.nodeid)
                item.add_marker(pytest.mark.skip(reason=f"needs {part}, which comes with {package}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, tests in sorted(_missing.items()):
        terminalreporter.write_line(f"skipped {len(tests)} for a missing part: {reason}")
        for test in tests:
            terminalreporter.write_line(f"    {test}")
    if _missing and os.environ.get("MLTRACK_TESTS_NEED_ALL_PARTS"):
        hard = [reason for reason in _missing if not reason.startswith("torch")]
        if hard:
            terminalreporter.write_line("MISSING PARTS: this run must not skip; see `make real-parts`.")
            terminalreporter._session.exitstatus = 1


@pytest.fixture(autouse=True)
def walls(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME and XDG in a temporary directory, no inherited GIT_* or MLTRACK_*, a fixed git author."""
    home = tmp_path_factory.mktemp("home") / "user"  # thousands of tests have theirs beside it
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("GIT_", "MLTRACK_")) and name not in ("MLTRACK_TESTS_NEED_ALL_PARTS", "MLTRACK_SOAK"):
            monkeypatch.delenv(name)
    uv_cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    monkeypatch.setenv("UV_CACHE_DIR", uv_cache)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    # The index is asked by the tests that are about it: every other run would ask it for each package of this suite.
    monkeypatch.setenv("MLTRACK_CONFIG_ENVIRONMENT_LOCK", "false")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = A Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n"
        '[protocol "file"]\n\tallow = always\n[safe]\n\tdirectory = *\n'
    )
    return home


@pytest.fixture(scope="session")
def command_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `mltrack` is this checkout's command, and `python` an interpreter without mltrack in it.

    The command is a script of its own in a directory of its own, so that the environment that the tests run in is not
    on the PATH, as it is not on a user's.
    """
    place = tmp_path_factory.mktemp("bin")
    script = place / "mltrack"
    # A shebang cannot name an interpreter whose path has a blank or is long; pip writes its scripts in this way too.
    start = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
    script.write_text(f"{start}from mltrack.__main__ import main\n\nmain()\n")
    script.chmod(0o755)
    base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    for name in ("python", "python3"):
        (place / name).symlink_to(base)
    kept = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent]
    return os.pathsep.join([str(place), *kept])
