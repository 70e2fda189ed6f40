"""The one module that speaks to a container engine, through the docker SDK, which it imports when it is used.

Every failure leaves here as EnvironmentFailed with one line and a hint (`troubles.py`). Knows images and containers as
the engine's API has them (JSON); what they mean to a run is known elsewhere.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mltrack.environments.docker.troubles import LOST, explain, unreachable
from mltrack.errors import EnvironmentFailed

PATIENCE_S = 600
"""How long the engine may be silent: a full disk, or a large image, makes it slow."""

Events = Iterator[dict[str, Any]]


class Refused(EnvironmentFailed):
    """The engine answered, and said no; `said` are its own words."""

    def __init__(self, error: EnvironmentFailed, said: str, status: int) -> None:
        super().__init__(error.message, error.hint)
        self.said = said
        self.status = status


def connect(variables: Mapping[str, str]) -> Engine:
    """The engine that DOCKER_HOST, or Docker's current context, names. Raises EnvironmentFailed."""
    import docker
    import requests

    settings, address = where(variables)
    try:
        return Engine(docker.APIClient(version="auto", timeout=PATIENCE_S, **settings), address)
    except (docker.errors.DockerException, requests.RequestException, OSError, ValueError) as error:
        raise unreachable(error, address) from error


def where(variables: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The arguments of a client, and the engine's address to tell."""
    from docker.constants import DEFAULT_UNIX_SOCKET
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    try:
        settings: dict[str, Any] = {**kwargs_from_env(environment=dict(variables))}
    except DockerException as error:
        raise unreachable(error, variables.get("DOCKER_HOST", "DOCKER_HOST")) from error
    if "base_url" not in settings:
        settings |= of_context(variables)
    return settings, str(settings.get("base_url", DEFAULT_UNIX_SOCKET)).replace("http+unix", "unix")


def of_context(variables: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that Docker's current context gives: Docker Desktop and rootless engines are found by it."""
    from docker.context import ContextAPI

    home = variables.get("DOCKER_CONFIG") or os.path.join(variables.get("HOME", "/"), ".docker")
    if not variables.get("DOCKER_CONTEXT") and not os.path.exists(os.path.join(home, "config.json")):
        return {}
    try:
        context = ContextAPI.get_current_context()
    except Exception as error:  # the SDK raises whatever a broken file leads to
        raise EnvironmentFailed(
            f"Docker's current context cannot be read: {error}.", "See `docker context ls`."
        ) from error
    if context is None or not context.Host or context.name == "default":
        return {}
    return {"base_url": context.Host, **({"tls": context.TLSConfig} if context.TLSConfig else {})}


@contextmanager
def asking(subject: str = "") -> Iterator[None]:
    """Turn what the SDK raises into errors of ours."""
    from docker.errors import APIError, DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        said = str(error.explanation or error)
        raise Refused(explain(said, subject), said, error.status_code or 0) from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise EnvironmentFailed(LOST, f"It said: {' '.join(str(error).split())}. See the engine's own log.") from error


class Engine:
    """A connection to an engine; not to be shared by threads or with a forked process."""

    def __init__(self, api: Any, address: str) -> None:
        self.api = api
        self.address = address
        self._info: dict[str, Any] | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.api.close()

    # -- the engine

    @property
    def info(self) -> dict[str, Any]:
        if self._info is None:
            with asking():
                self._info = self.api.info()
        return self._info

    @property
    def architecture(self) -> str:
        """As images name it: `amd64`, `arm64`."""
        machine = str(self.info.get("Architecture", ""))
        return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(machine, machine)

    def has_security(self, name: str) -> bool:
        """Is the engine `rootless`, does it use `userns`, `selinux`?"""
        return any(f"name={name}" in option.split(",") for option in self.info.get("SecurityOptions") or ())

    @property
    def is_podman(self) -> bool:
        return "podman" in str(self.api.version().get("Components", "")).lower()

    @property
    def counts_configs(self) -> bool:
        """Is an image's id the digest of its configuration? With an image store of containerd it is its manifest's."""
        return "io.containerd.snapshotter" not in str(self.info.get("DriverStatus"))

    # -- images

    def find_image(self, reference: str) -> dict[str, Any] | None:
        """What the engine knows of an image that it has."""
        found = self._inspect_image(reference)
        if found is None and "/" not in reference and not reference.startswith("sha256:") and self.is_podman:
            return self._inspect_image(f"localhost/{reference}")  # what it builds and loads has this prefix
        return found

    def _inspect_image(self, reference: str) -> dict[str, Any] | None:
        from docker.errors import NotFound

        with asking(reference):
            try:
                return dict(self.api.inspect_image(reference))
            except NotFound:
                return None

    def pull(self, reference: str, platform: str | None = None) -> Events:
        """Pull; the events of it as they come."""
        name, tag = split_reference(reference)
        with asking(reference):
            events = self.api.pull(name, tag=tag, platform=platform, stream=True, decode=True)
            yield from checked_events(events, reference)

    def build(self, context: Iterable[bytes], options: Mapping[str, Any]) -> Events:
        """Build an image from the bytes of a tar; the events of it as they come."""
        with asking("that the Dockerfile begins with"):
            events = self.api.build(fileobj=context, custom_context=True, decode=True, rm=True, forcerm=True, **options)
            yield from checked_events(events, "that the Dockerfile begins with")

    def registry_digest(self, reference: str) -> str | None:
        """What a registry has under that name now. Raises EnvironmentFailed, also where it is gone."""
        with asking(reference):
            found = self.api.inspect_distribution(reference)
        return (found.get("Descriptor") or {}).get("digest")

    def tag(self, image: str, repository: str, tag: str) -> None:
        with asking(image):
            self.api.tag(image, repository, tag)

    def save(self, image: str) -> Iterator[bytes]:
        """The tar that `docker save` writes."""
        with asking(image):
            yield from self.api.get_image(image, chunk_size=1 << 20)

    def load(self, archive: Iterable[bytes], subject: str) -> list[str]:
        """Load a tar; what the engine says about it, line by line."""
        with asking(subject):
            events = self.api.load_image(archive, quiet=True) or ()
            return [str(event.get("stream", "")).strip() for event in checked_events(events, subject)]

    # -- containers

    def create(self, config: Mapping[str, Any], name: str | None = None) -> str:
        with asking(str(config.get("Image", ""))):
            made = self.api.create_container_from_config(dict(config), name)
        return str(made["Id"])

    def attach(self, container: str) -> socket.socket:
        """The two-way stream of a container's terminal or, in frames, of its standard streams."""
        with asking():
            wrapper = self.api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        stream: socket.socket = getattr(wrapper, "_sock", wrapper)
        stream.settimeout(None)
        return stream

    def begin(self, container: str, subject: str = "") -> None:
        with asking(subject):
            self.api.start(container)

    def wait(self, container: str) -> int:
        """Until it has ended; its exit code."""
        with asking():
            return int(self.api.wait(container, timeout=None)["StatusCode"])

    def inspect(self, container: str) -> dict[str, Any]:
        with asking():
            return dict(self.api.inspect_container(container))

    def signal(self, container: str, number: int) -> None:
        """Signal its first process; nothing where it has ended."""
        self._while_running(lambda: self.api.kill(container, number))

    def resize(self, container: str, rows: int, columns: int) -> None:
        self._while_running(lambda: self.api.resize(container, height=rows, width=columns))

    def pause(self, container: str) -> None:
        with asking():
            self.api.pause(container)

    def unpause(self, container: str) -> None:
        self._while_running(lambda: self.api.unpause(container))

    def sample(self, container: str) -> dict[str, Any]:
        """What it uses at this moment."""
        with asking():
            return dict(self.api.stats(container, stream=False, one_shot=True))

    def remove(self, container: str) -> bool:
        """Kill it and remove it with its anonymous volumes. False where there is none."""
        from docker.errors import APIError

        with asking():
            try:
                self.api.remove_container(container, v=True, force=True)
            except APIError as error:
                if error.status_code == 404:
                    return False
                if error.status_code != 409:  # somebody else is removing it
                    raise
        return True

    def beginning_of(self, container: str, path: str, size: int) -> bytes | None:
        """The first bytes of a tar of a path in a container, which need not run. None where there is no such path."""
        from docker.errors import NotFound

        with asking():
            try:
                stream, _ = self.api.get_archive(container, path, chunk_size=size)
            except NotFound:
                return None
            found = b""
            for block in stream:
                found += block
                if len(found) >= size:
                    break
        return found

    def _while_running(self, act: Callable[[], object]) -> None:
        from docker.errors import APIError

        with asking():
            try:
                act()
            except APIError as error:
                if error.status_code not in (404, 409, 500):
                    raise


def checked_events(events: Iterable[Any], subject: str) -> Events:
    """The events of a stream that reports its failures in itself."""
    for event in events:
        if "error" in event or "errorDetail" in event:
            said = str(event.get("error") or event["errorDetail"].get("message"))
            raise Refused(explain(said, subject), said, 500)
        yield event


def split_reference(reference: str) -> tuple[str, str | None]:
    """`host:5000/name:tag` -> (`host:5000/name`, `tag`), `name@sha256:...` -> (`name`, `sha256:...`)."""
    name, at, digest = reference.partition("@")
    if at:
        head, colon, tag = name.rpartition(":")
        return (head if colon and "/" not in tag else name), digest
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def ignored(root: str, patterns: list[str], dockerfile: str) -> set[str]:
    """The paths below root that a build is given, after the patterns of a .dockerignore; directories too."""
    from docker.utils.build import exclude_paths

    return set(exclude_paths(root, patterns, dockerfile=dockerfile))
