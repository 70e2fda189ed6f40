"""What an engine says when something fails -> one clear line and a hint.

Pure: texts in, texts out. The words are those of Docker Engine 20 to 29 and of Podman 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.patterns import lazy

UNREACHABLE = (
    r"no such host|connection refused|i/o timeout|TLS handshake|network is unreachable|no route to host"
    r"|temporary failure in name resolution|server misbehaving|context deadline exceeded|EOF"
)
LOST = "The connection to the container engine broke off."


@noun
class Trouble:
    """A failure that is known by its words."""

    words: str
    message: str
    hint: str


TROUBLES = (
    Trouble(
        r"no space left on device|disk quota exceeded",
        "The disk of the container engine is full.",
        "Free some: `docker system df` shows what takes it, `docker image prune` removes images without a name.",
    ),
    Trouble(
        r"could not select device driver|unknown or invalid runtime name: nvidia|nvidia-container-cli"
        r"|unresolvable CDI devices",
        "This container engine gives no GPUs.",
        "Install the NVIDIA Container Toolkit on the engine's machine, or run without environment.gpus.",
    ),
    Trouble(
        r"bind source path does not exist|statfs .*no such file or directory|bind mount source .*does not exist",
        "The container engine does not see a mounted path",
        "Mounts are paths on the engine's machine; an engine elsewhere (DOCKER_HOST) cannot see this one's files.",
    ),
    Trouble(
        r"invalid mount config|duplicate mount point|mounts denied|invalid mount",
        "The container engine refuses a mount",
        "See environment.mounts, and environment.at, where the project is mounted.",
    ),
    Trouble(
        r"toomanyrequests|rate limit",
        "The registry lets nobody pull so often: {subject}.",
        "Log in with `docker login`, or wait.",
    ),
    Trouble(
        r"pull access denied|repository does not exist|unauthorized|denied:|authentication required"
        r"|no basic auth credentials",
        "The registry has no image {subject}, or does not show it to you.",
        "Check the name; for a private image, `docker login` first.",
    ),
    Trouble(
        r"manifest unknown|manifest for .* not found|name unknown|reading manifest .*not found",
        "The registry has no image {subject} (any more).",
        "Check the name and the tag. A recorded image can also come from a remote: mltrack push --images.",
    ),
    Trouble(
        r"no matching manifest|does not match the (specified|expected) platform|image operating system",
        "There is no image {subject} for the architecture of this engine.",
        "Use an engine of the image's architecture, or an image that is built for several.",
    ),
    Trouble(
        r"invalid reference format|repository name must",
        "{subject} is no name of an image.",
        "For example: python:3.11, ghcr.io/me/train:2, or an image id.",
    ),
    Trouble(
        r"no such image|image not known|unable to find image",
        "There is no image {subject} here.",
        "Pull it, or check the name: `docker image ls`.",
    ),
    Trouble(
        r"requires BuildKit|unknown flag: mount|Unknown instruction: .?<<|the --(mount|chmod|link) (option|flag)",
        "The Dockerfile needs BuildKit, which mltrack cannot start",
        "Build it yourself, `docker build -t NAME .`, and run with --image NAME.",
    ),
    Trouble(
        r"unable to find user|no matching entries in (passwd|group) file",
        "The image does not know that user",
        "Set environment.user to a number, as 1000:1000, to caller, root or image.",
    ),
    Trouble(
        r"network \S+ not found|unable to find network",
        "The container engine has no such network",
        "See `docker network ls` and environment.network.",
    ),
    Trouble(
        r"executable file not found|exec: .*(no such file or directory|permission denied)",
        "The command cannot be started in the container",
        "Is its program in the image, on the PATH there, and executable?",
    ),
    Trouble(
        r"exec format error",
        "The image {subject} is for another architecture than this engine's.",
        "Use an engine of the image's architecture, or install emulation (binfmt) on this one.",
    ),
    Trouble(
        UNREACHABLE,
        "The registry cannot be reached for {subject}",
        "Check the network and the name. An image that is here already needs no registry.",
    ),
)

NOT_FOUND = lazy(r"executable file not found|exec: .*no such file or directory|exec .*: no such file or directory")
NOT_EXECUTABLE = lazy(r"permission denied|is a directory|exec format error", 2)  # 2: re.IGNORECASE


def explain(said: str, subject: str) -> EnvironmentFailed:
    """The error for what an engine answered about `subject`, an image mostly."""
    import re

    said = " ".join(said.split())
    for trouble in TROUBLES:
        if re.search(trouble.words, said, re.IGNORECASE):
            message = trouble.message.format(subject=subject or "it")
            return EnvironmentFailed(message if message.endswith(".") else f"{message}: {said}.", trouble.hint)
    return EnvironmentFailed(f"The container engine failed: {said or 'without a word'}.", "See the engine's own log.")


def exit_code_of(said: str) -> int:
    """The exit code of a command that an engine could not start, as `docker run` has it."""
    if NOT_FOUND.search(said):
        return 127
    return 126 if "exec" in said and NOT_EXECUTABLE.search(said) else 125


def unreachable(error: BaseException, address: str) -> EnvironmentFailed:
    """The error for an engine that does not answer at all."""
    cause = next(system_errors(error), None)
    if isinstance(cause, PermissionError):
        return EnvironmentFailed(
            f"You may not speak to the container engine at {address}.",
            "Have yourself added to the group docker (`sudo usermod -aG docker $USER`, then log in again), "
            "or use a rootless engine.",
        )
    if isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
        return EnvironmentFailed(
            f"No container engine answers at {address}.",
            "Start one (`sudo systemctl start docker`, Docker Desktop, `podman system service`), or say with "
            "DOCKER_HOST where it is.",
        )
    return EnvironmentFailed(
        f"The container engine at {address} cannot be used: {' '.join(str(error).split())}.",
        "Does `docker version` work? DOCKER_HOST says where the engine is.",
    )


def system_errors(error: object, depth: int = 8) -> Iterator[OSError]:
    """The errors of the operating system behind an error: libraries hide them in causes and arguments."""
    if not isinstance(error, BaseException) or depth == 0:
        return
    if isinstance(error, OSError) and error.errno is not None and len(error.args) > 1:
        yield error
    for inner in (*error.args, error.__cause__, error.__context__, getattr(error, "reason", None)):
        if inner is not error:
            yield from system_errors(inner, depth - 1)
