"""How a command starts in a container: the image is made sure of, and a client program gets its orders in a file.

    supervisor ── keeper ── client (client.py) ──(engine)── container

The client runs under the ordinary local executor, so that log, signals, terminal and kills are those of every run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mltrack.environments import Started
from mltrack.environments.docker.asides import program_variables
from mltrack.environments.docker.engine import Engine, connect
from mltrack.environments.docker.images import BEHAVIOUR, Recipe, build_image, ensure_image
from mltrack.environments.docker.inside import (
    Person,
    Place,
    check_mounts,
    find_person,
    find_place,
    mounts_of,
    pairs,
    unrecorded,
    variables_of,
)
from mltrack.environments.docker.lock import CONFIG, MANIFEST
from mltrack.environments.docker.orders import PASSED, SPEC, USAGE, write_orders
from mltrack.environments.docker.settings import Gpus, Settings, read_settings
from mltrack.environments.docker.targets import targets_of
from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Request, StartRequest

CLIENT = "mltrack.environments.docker.client"
RUN_LABEL = "mltrack.run"
KEPT = ("Id", "RepoDigests", "Architecture", "Os", "Created", "Size", "RootFS")


@noun
class Entry:
    """An image that is here, and how a command is to see it."""

    settings: Settings
    place: Place
    image: Mapping[str, Any]
    person: Person
    variables: Mapping[str, str]


def enter(request: StartRequest) -> Started:
    """Make sure that the image is here, check the rest, write the client's orders. Raises EnvironmentFailed,
    UsageError."""
    asked = request.request
    settings = settings_of(asked)
    place = find_place(request, settings)
    with connect(asked.variables) as engine:
        check_mounts(settings, engine.address)
        image, recipe = obtain(engine, settings, asked)
        person = find_person(engine, image, settings, asked)
        variables = variables_of(request, settings, place, image, person)
        entry = Entry(settings, place, image, person, variables)
        spec = spec_of(request, entry, engine)
        facts = {
            **facts_of(engine, image, recipe, settings),
            "at": place.at,
            "mounts": [[known["Target"], known["Source"]] for known in spec["config"]["HostConfig"]["Mounts"]],
            "unrecorded": unrecorded(request, settings, place),
            "variables": seen(image, variables),
        }
    write_orders(request.run_dir / SPEC, spec)
    argv = (sys.executable, "-m", CLIENT, str(request.run_dir / SPEC), *asked.argv)
    return Started(argv, request.run_dir, client_variables(variables), facts)


def settings_of(asked: Request) -> Settings:
    return read_settings(asked.options, asked.project or asked.cwd, asked.variables.get("HOME"))


def obtain(engine: Engine, settings: Settings, asked: Request) -> tuple[dict[str, Any], Recipe | None]:
    """The image, and what it was built from."""
    if settings.pinned is not None:
        return ensure_image(engine, settings.pinned, asked.tell), None
    if settings.build is not None:
        return build_image(engine, settings.build, settings.network, asked.tell)
    return ensure_image(engine, str(settings.image), asked.tell), None


def facts_of(engine: Engine, image: Mapping[str, Any], recipe: Recipe | None, settings: Settings) -> dict[str, Any]:
    """What `capture` needs, by the image's id: names may move meanwhile."""
    config = image.get("Config") or {}
    return {
        "image": {
            **{key: image.get(key) for key in KEPT},
            "Config": {key: config.get(key) for key in BEHAVIOUR},
        },
        "reference": settings.image,
        "engine": engine.architecture,
        "counted": CONFIG if engine.counts_configs else MANIFEST,
        "recipe": None
        if recipe is None
        else {
            "files": {name: str(path) for name, path in recipe.tree.items()},
            "dockerfile": recipe.dockerfile,
            "context": recipe.context_digest,
            "args": dict(recipe.args),
            "target": recipe.target,
        },
    }


def spec_of(request: StartRequest, entry: Entry, engine: Engine) -> dict[str, Any]:
    """The client's orders: a container as the engine's API has it, and what to do with it.

    The command is not among them: a word of it may be a secret, which must not lie on the disk.
    """
    asked, settings = request.request, entry.settings
    cwd = entry.place.inside(asked.cwd)
    if cwd is None:
        raise UsageError(f"{asked.cwd} is not part of the project {entry.place.root}.", "Run the command below it.")
    run = request.own.get("MLTRACK_RUN_ID") or request.run_dir.name
    config: dict[str, Any] = {
        "Image": str(entry.image["Id"]),
        "WorkingDir": cwd,
        "Labels": {RUN_LABEL: run},
        "HostConfig": host_config(request, entry, engine),
    }
    if entry.person.user is not None:
        config["User"] = entry.person.user
    if settings.entrypoint is not None:
        config["Entrypoint"] = list(settings.entrypoint) or [""]
    mounts = config["HostConfig"]["Mounts"]
    spec = {
        "container": f"mltrack-{run}",
        "subject": settings.image or str(entry.image["Id"]),
        "config": config,
        "variables": sorted(entry.variables),
        "usage": str(request.run_dir / USAGE),
        "project": str(entry.place.root),
        "targets": targets_of(mounts, entry.place),
    }
    check_text([spec, asked.argv])
    return spec


def check_text(spec: Any) -> None:
    """Raise UsageError for bytes that JSON, and so the engine's API, cannot say."""
    try:
        json.dumps(spec, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            "A container's command and paths must be UTF-8.", "Rename the file, or pass it on standard input."
        ) from error


def host_config(request: StartRequest, entry: Entry, engine: Engine) -> dict[str, Any]:
    settings = entry.settings
    host: dict[str, Any] = {
        "Mounts": mounts_of(request, settings, entry.place),
        "Init": True,
        "LogConfig": {"Type": "none", "Config": {}},  # mltrack keeps the log; a second one would only take space
    }
    if settings.network is not None:
        host["NetworkMode"] = settings.network
    if settings.shm_bytes is not None:
        host["ShmSize"] = settings.shm_bytes
    if entry.person.groups:
        host["GroupAdd"] = list(entry.person.groups)
    if settings.gpus is not None:
        host["DeviceRequests"] = [device_request(settings.gpus)]
    if engine.has_security("userns") and settings.user == "caller":
        host["UsernsMode"] = "host"  # else files would belong to another user
    if engine.has_security("selinux"):
        host["SecurityOpt"] = ["label=disable"]  # the alternative is to relabel the user's files
    return host


def device_request(gpus: Gpus) -> dict[str, Any]:
    chosen = {"DeviceIDs": list(gpus.devices)} if gpus.devices else {"Count": gpus.count}
    return {"Driver": "", "Capabilities": [["gpu"]], **chosen}


def seen(image: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of the command, without what we put in front of its PYTHONPATH: a path of this machine."""
    its = dict(pairs((image.get("Config") or {}).get("Env") or ()))
    path = variables["PYTHONPATH"].partition(":")[2]
    others = {name: text for name, text in {**its, **variables}.items() if name != "PYTHONPATH"}
    return {**others, "PYTHONPATH": path} if path else others


def client_variables(inside: Mapping[str, str]) -> dict[str, str]:
    """The environment of the client: mltrack's own, and under other names what it hands on."""
    return {**program_variables(os.environ), **{PASSED + name: text for name, text in inside.items()}}
