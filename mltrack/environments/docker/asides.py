"""Containers of our own, made to learn something of an image: away from any network, and gone when the answer is there.

What an image says is not believed to end, or to be short. A program of its own removes the container if we are killed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mltrack.environments.docker.engine import Engine
from mltrack.environments.docker.inside import INSIDE
from mltrack.environments.docker.streams import BUFFER, Frames, Sink
from mltrack.environments.docker.watcher import ALL_WELL
from mltrack.errors import EnvironmentFailed

LABEL = "mltrack.aside"
LIMIT_S = 60.0
LIMIT_BYTES = 64 << 20
WATCHER = "mltrack.environments.docker.watcher"


@contextmanager
def aside(engine: Engine, variables: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[str]:
    """A container that is made and not started; removed at the end, whatever that is. Raises EnvironmentFailed."""
    name = f"mltrack-aside-{os.urandom(8).hex()}"
    host = {"NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}}
    watcher = watch(name, variables)
    is_gone = False
    try:
        yield engine.create({**config, "Labels": {LABEL: str(config["Image"])}, "HostConfig": host}, name)
    finally:
        with suppress(EnvironmentFailed):
            engine.remove(name)
            is_gone = True
        let_go(watcher, is_gone)


def watch(name: str, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a watcher; a thread may not fork, as the client does."""
    nothing = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", WATCHER, name],
        cwd="/",
        env=program_variables(variables),
        stdin=subprocess.PIPE,
        stdout=nothing,
        stderr=nothing,
        start_new_session=True,
    )


def let_go(watcher: subprocess.Popen[bytes], is_gone: bool) -> None:
    """Tell it that all is well, or leave it to its work."""
    assert watcher.stdin is not None
    with suppress(OSError):
        if is_gone:
            watcher.stdin.write(ALL_WELL)
        watcher.stdin.close()
    if is_gone:
        watcher.wait()
    else:
        watcher.returncode = 0  # it takes its time, and nobody waits for it


def program_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program of ours, which finds mltrack where we are."""
    package = Path(__file__).parents[3]
    path = [os.path.abspath(part) for part in variables.get("PYTHONPATH", "").split(os.pathsep) if part]
    path = [part for part in path if part != str(INSIDE)]  # it has a module mltrack of its own
    if package.name not in ("site-packages", "dist-packages") and str(package) not in path:
        path.append(str(package))
    others = {name: text for name, text in variables.items() if name != "PYTHONPATH"}
    return {**others, **({"PYTHONPATH": os.pathsep.join(path)} if path else {}), "PYTHONSAFEPATH": "1"}


def output_of(engine: Engine, variables: Mapping[str, str], config: Mapping[str, Any]) -> bytes:
    """What a container writes to its standard output, started and seen to its end.

    Raises Refused if it cannot be started, EnvironmentFailed if it takes too long or says too much.
    """
    deadline = time.monotonic() + LIMIT_S
    with aside(engine, variables, {**config, "AttachStdout": True, "AttachStderr": True}) as container:
        stream = engine.attach(container)
        try:
            engine.begin(container, str(config["Image"]))
            return read_to_end(stream, deadline)
        except OSError as error:
            raise EnvironmentFailed(
                f"A program in the image {config['Image']} that was asked about it gave no answer in time.",
                f"It has {LIMIT_S:.0f} s. Does it start as it should? docker run --rm -it IMAGE PROGRAM",
            ) from error
        finally:
            os.close(stream.detach())  # the SDK holds it too, and would never close it


def read_to_end(stream: socket.socket, deadline: float) -> bytes:
    """The frames of standard output. Raises OSError when it takes too long or is too much."""
    said = Said()
    frames, buffer = Frames({1: said}), memoryview(bytearray(BUFFER))
    while True:
        stream.settimeout(max(deadline - time.monotonic(), 0.001))
        size = stream.recv_into(buffer)
        if size == 0:
            return bytes(said.data)
        frames.take(buffer[:size])
        if len(said.data) > LIMIT_BYTES:
            raise TimeoutError


class Said(Sink):
    """What was written, in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: memoryview) -> None:
        self.data += data
