"""The record of a container: its image, what Python distributions it has, what it was built from, what is not known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.digest import digest_json
from mltrack.environments import Found, Tree
from mltrack.environments.command import is_python, unwrap
from mltrack.environments.docker.asides import output_of
from mltrack.environments.docker.context import counted, digest_of, to_keep
from mltrack.environments.docker.engine import Engine, Refused, connect
from mltrack.environments.docker.entering import facts_of, obtain, settings_of
from mltrack.environments.docker.images import describe, is_moving, layers_of, registry_digests, settings_digest
from mltrack.environments.docker.lock import BuildFacts, Lock, write_lock
from mltrack.environments.docker.notes import remembered
from mltrack.errors import EnvironmentFailed
from mltrack.noun_json import to_dict
from mltrack.records import Environment, Image, Warning
from mltrack.redact import PLACEHOLDER, Redactor

if TYPE_CHECKING:
    from mltrack.environments import Request
    from mltrack.environments.python.distributions import Distribution

PROBE = Path(__file__).parents[1] / "python" / "probe.py.txt"
MARK = b"MLTRACK-PROBE "
PYTHONS = ("python", "python3")
LEFT_OUT = (
    "{count} of the build's context, which git ignores or whose names say that they hold secrets, went into the build "
    "and are not kept: an image that is built again may differ."
)
SECRET_ARGUMENT = (
    "The argument {name} of the build holds a secret, which stands in the image's history for everybody who gets the "
    "image; pass it as a mount or a variable of the run instead, or by `docker build --secret`."
)


def describe_environment(request: Request) -> Found:
    """Everything that is to be recorded; without the facts of a start, of the image that one would have now."""
    with connect(request.variables) as engine:
        facts = request.facts or look_now(engine, request)
        image = facts["image"]
        answer, troubles = python_of(engine, request, str(image["Id"]))
    record = describe(image, facts["reference"])
    build, tree, warnings = build_facts(facts.get("recipe"))
    installed = distributions_of(answer, str(facts.get("at") or request.project or request.cwd))
    environment = Environment(
        digest=digest_json({"kind": "docker", "image": record.id}),
        kind="docker",
        python=answer["version"] if answer else None,
        interpreter=answer["executable"] if answer else None,
        packages={found.name: found.version for found in installed},
        image=record,
        options=options_of(request, facts),
    )
    lock = Lock(
        {**lock_image(record, image), "counted": facts["counted"]},
        build,
        environment.python,
        tuple({"name": found.name, "version": found.version, "source": found.source} for found in installed),
    )
    told = (*warnings_of(record, facts, is_built=build is not None), *warnings, *troubles)
    return Found(environment, write_lock(lock), told, {"context": tree} if tree else {})


def lock_image(record: Image, image: Mapping[str, Any]) -> dict[str, Any]:
    """The image as it stands in the lock: the record, and by what it is known again."""
    return {
        **to_dict(record),
        "digests": list(registry_digests(image)),
        "layers": list(layers_of(image)),
        "settings": settings_digest(image),
    }


def look_now(engine: Engine, request: Request) -> dict[str, Any]:
    """The facts as `start` would find them."""
    settings = settings_of(request)
    image, recipe = obtain(engine, settings, request)
    return facts_of(engine, image, recipe, settings)


def options_of(request: Request, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that another start needs, without the secrets among a build's arguments."""
    options = {name: value for name, value in request.options.items() if value is not None}
    build = options.get("build")
    if isinstance(build, Mapping) and build.get("args"):
        options["build"] = {**build, "args": Redactor({}).params(build["args"])}
    if facts.get("at"):
        options["at"] = facts["at"]
    for name in ("lock", "pinned"):
        options.pop(name, None)
    return options


# -- the distributions


def candidates(request: Request) -> list[str]:
    """Which interpreters to ask: the command's own, if it names one that does not lie in the project."""
    command = unwrap(request.argv, request.cwd, request.variables)
    words = [word for word in command.argv[:1] if is_python(word) and ("/" not in word or word.startswith("/"))]
    return list(dict.fromkeys([*words, *PYTHONS]))


def python_of(engine: Engine, request: Request, image: str) -> tuple[dict[str, Any] | None, tuple[Warning, ...]]:
    """What the Python of an image says of itself; a warning instead if it does not answer."""
    question = ["python", PROBE.stat().st_size, candidates(request)]
    try:
        return remembered(request.cache, image, question, lambda: ask_python(engine, request, image)), ()
    except EnvironmentFailed as error:
        message = f"The Python distributions in the image are not recorded. {error.message}"
        return None, (Warning("image", message),)


def ask_python(engine: Engine, request: Request, image: str) -> dict[str, Any] | None:
    """What the first interpreter that is there says of itself, in a container without a network; None without one."""
    source = PROBE.read_text()
    for name in candidates(request):
        config = {"Image": image, "Entrypoint": [name], "Cmd": ["-c", source], "User": "0:0"}
        try:
            said = output_of(engine, request.variables, config)
        except Refused:  # it is not there
            continue
        for line in said.splitlines():
            if line.startswith(MARK):
                answer: dict[str, Any] = json.loads(line[len(MARK) :])
                return {key: value for key, value in answer.items() if key != "checks"}
    return None


def distributions_of(answer: Mapping[str, Any] | None, project: str) -> tuple[Distribution, ...]:
    if answer is None:
        return ()
    from mltrack.environments.python.distributions import read_answer

    return read_answer(answer, Path(project)).distributions


# -- the build


def build_facts(recipe: Mapping[str, Any] | None) -> tuple[BuildFacts | None, Tree, tuple[Warning, ...]]:
    """What the image was built from, and its context to keep, if that still is what was sent."""
    if recipe is None:
        return None, {}, ()
    redactor = Redactor({})
    tree = {name: Path(path) for name, path in recipe["files"].items()}
    text = "".join(redactor.text(line) for line in read_text(tree[recipe["dockerfile"]]).splitlines(keepends=True))
    args = redactor.params(recipe["args"])
    told = [SECRET_ARGUMENT.format(name=name) for name, word in args.items() if PLACEHOLDER in word]
    kept = to_keep(tree)
    try:
        is_same = digest_of(tree) == recipe["context"]
        digest = digest_of(kept) if is_same and kept else None
    except EnvironmentFailed:
        is_same, digest = False, None
    left_out = len(tree) - len(kept)
    if not is_same:
        told.append("The build's context changed while the run started, so that it is not kept.")
    elif left_out:
        told.append(LEFT_OUT.format(count=counted(left_out)))
    facts = BuildFacts(recipe["dockerfile"], text, recipe["context"], args, recipe["target"], digest, left_out)
    return facts, kept if digest else {}, tuple(Warning("image", text) for text in told)


def read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


# -- what the reader must know


def warnings_of(image: Image, facts: Mapping[str, Any], is_built: bool) -> tuple[Warning, ...]:
    told = []
    name = image.reference or "that was built"
    if image.digest is None:
        told.append(
            f"The image {name} has no digest in any registry, so that nobody else can pull it; "
            "`mltrack push --images` carries it."
        )
    if image.reference is not None and not is_built and is_moving(image.reference):
        told.append(f"The image {name} is the latest of its name, which moves; its id is recorded.")
    if image.architecture and facts.get("engine") and image.architecture != facts["engine"]:
        told.append(f"The image {name} is for {image.architecture}, and ran emulated on {facts['engine']}.")
    told += [
        f"{source} is mounted from outside of the project, and its content is not recorded; declare it with --input."
        for source in facts.get("unrecorded", ())
    ]
    return tuple(Warning("image", text) for text in told)
