"""Images: found, pulled with their progress told, built, and described for the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mltrack.digest import digest_json
from mltrack.environments.docker.context import digest_of, find_context, size_of
from mltrack.environments.docker.engine import split_reference
from mltrack.environments.docker.settings import ID, Build
from mltrack.environments.docker.tarring import tar_of
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Tree
    from mltrack.environments.docker.engine import Engine, Events
    from mltrack.environments.docker.lock import Lock
    from mltrack.records import Image

Tell = Callable[[str], None]

REPOSITORY = "mltrack"
"""Images that we build or load get a name in it, so that `docker image prune` spares them."""

CONTEXT_LABEL = "mltrack.context"
TELL_EACH_S = 3.0
QUICK_S = 1.0
"""A build that is found in the engine's cache is not worth its many lines."""

LARGE_CONTEXT = 100 << 20
SHOWN_LINES = 15
"""Of a build's output, when it fails."""

BEHAVIOUR = (
    "Cmd", "Entrypoint", "Env", "Labels", "User", "WorkingDir", "Volumes", "ExposedPorts", "StopSignal", "StopTimeout",
    "Shell", "Healthcheck", "OnBuild", "ArgsEscaped", "NetworkDisabled", "MacAddress",
)  # fmt: skip
"""All of an image's configuration that decides how its containers behave."""


@noun
class Recipe:
    """What an image was built from."""

    tree: Tree
    dockerfile: str
    context_digest: str
    args: Mapping[str, str]
    target: str | None


def ensure_image(engine: Engine, reference: str, tell: Tell) -> dict[str, Any]:
    """The image of that name or id, pulled if it is not here. Raises EnvironmentFailed."""
    found = engine.find_image(reference)
    if found is not None:
        return found
    if ID.fullmatch(reference):
        raise EnvironmentFailed(
            f"There is no image {reference} on this engine.", "An id names only what is here; name an image to pull it."
        )
    return pull_image(engine, reference, tell)


def pull_image(engine: Engine, reference: str, tell: Tell, platform: str | None = None) -> dict[str, Any]:
    """Pull, telling how far it is; the image. Raises EnvironmentFailed."""
    tell(f"pulling {reference}")
    told_at = time.monotonic()
    layers: dict[str, tuple[int, int, bool]] = {}
    for event in engine.pull(reference, platform):
        note_layer(layers, event)
        if layers and time.monotonic() - told_at > TELL_EACH_S:
            told_at = time.monotonic()
            tell(f"pulling {reference}: {progress_of(layers)}")
    found = engine.find_image(reference)
    if found is None:
        raise EnvironmentFailed(f"{reference} was pulled, and is not here.", "See the engine's own log.")
    return found


def note_layer(layers: dict[str, tuple[int, int, bool]], event: Mapping[str, Any]) -> None:
    """Layer -> bytes that came, bytes in all, is it complete."""
    name, status = event.get("id"), event.get("status", "")
    if not name or status.startswith("Pulling from"):
        return
    had = layers.get(name, (0, 0, False))
    detail = event.get("progressDetail") or {}
    if status == "Downloading":
        layers[name] = (detail.get("current", had[0]), detail.get("total", had[1]), False)
    else:
        is_whole = status in ("Pull complete", "Already exists")
        is_here = is_whole or status in ("Download complete", "Extracting", "Verifying Checksum")
        layers[name] = (had[1] if is_here else had[0], had[1], is_whole)


def progress_of(layers: Mapping[str, tuple[int, int, bool]]) -> str:
    done = sum(is_whole for _, _, is_whole in layers.values())
    here, total = (sum(layer[part] for layer in layers.values()) / 2**20 for part in (0, 1))
    return f"{done} of {len(layers)} layers, {here:.0f} of {total:.0f} MiB"


def build_image(engine: Engine, build: Build, network: str | None, tell: Tell) -> tuple[dict[str, Any], Recipe]:
    """Build from a Dockerfile of the project. Raises EnvironmentFailed with the last lines of the output."""
    tree = find_context(build)
    recipe = Recipe(tree, build.dockerfile, digest_of(tree), build.args, build.target)
    return build_recipe(engine, recipe, network, tell), recipe


def build_recipe(engine: Engine, recipe: Recipe, network: str | None, tell: Tell) -> dict[str, Any]:
    """The image that a recipe comes to here and now, labelled with the digest of its context, and named for it."""
    size = size_of(recipe.tree)
    tell(f"building {recipe.dockerfile}: {len(recipe.tree)} files, {size / 2**20:.1f} MiB")
    if size > LARGE_CONTEXT:
        tell("the build's context is large; name in .dockerignore what the Dockerfile does not copy")
    identity = digest_json([recipe.dockerfile, recipe.context_digest, dict(recipe.args), recipe.target])
    name = f"{REPOSITORY}:{identity.removeprefix('b3:')[:16]}"
    options = {
        "dockerfile": recipe.dockerfile,
        "buildargs": dict(recipe.args),
        "tag": name,
        "labels": {CONTEXT_LABEL: recipe.context_digest},
        **({"target": recipe.target} if recipe.target else {}),
        **({"network_mode": network} if network else {}),
    }
    made = follow_build(engine.build(tar_of(recipe.tree.items()), options), recipe.dockerfile, tell)
    found = engine.find_image(made or name)
    if found is None:
        raise EnvironmentFailed(f"{recipe.dockerfile} was built, and its image is not here.", "See the engine's log.")
    return found


def follow_build(events: Events, dockerfile: str, tell: Tell) -> str | None:
    """Tell the steps of a build that takes a while; the id of its image, where the engine says it."""
    lines: list[str] = []
    told, began = 0, time.monotonic()
    made = None
    try:
        for event in events:
            made = (event.get("aux") or {}).get("ID", made)
            lines += [line.rstrip() for line in str(event.get("stream", "")).splitlines() if line.strip()]
            if time.monotonic() - began > QUICK_S:
                for line in lines[told:]:
                    tell(f"build: {line}")
                told = len(lines)
    except EnvironmentFailed as error:
        shown = "".join(f"\n    {line}" for line in lines[-SHOWN_LINES:])
        raise EnvironmentFailed(f"{dockerfile} could not be built: {error.message}{shown}", error.hint) from error
    return made


def describe(found: Mapping[str, Any], reference: str | None) -> Image:
    """An image as it is recorded, from what the engine says of it."""
    from mltrack.records import Image
    from mltrack.redact import Redactor

    redactor = Redactor({})
    labels = (found.get("Config") or {}).get("Labels") or {}
    digest = best_digest(registry_digests(found), reference)
    return Image(
        id=full_id(found["Id"]),
        digest=digest.partition("@")[2] if digest else None,
        reference=reference,
        architecture=found.get("Architecture") or None,
        os=found.get("Os") or None,
        created_at=found.get("Created") or None,
        size_bytes=found.get("Size"),
        labels={str(name): str(text) for name, text in redactor.params(labels).items()},
    )


def full_id(identity: str) -> str:
    """With its algorithm: Podman leaves it out."""
    return identity if ":" in identity else f"sha256:{identity}"


def best_digest(digests: tuple[str, ...] | list[str], reference: str | None) -> str | None:
    """`repository@sha256:...` of the repository that the user named, else the first one."""
    named = short_name(split_reference(reference)[0]) if reference else None
    same = (digest for digest in digests if short_name(digest.partition("@")[0]) == named)
    return next(same, digests[0] if digests else None)


def registry_digests(found: Mapping[str, Any]) -> tuple[str, ...]:
    """`repository@sha256:...` of each registry that had it. Podman counts digests of images that none has, too."""
    return tuple(
        name
        for name in found.get("RepoDigests") or ()
        if "@sha256:" in name
        and not name.startswith(("<none>", "localhost/"))
        and short_name(name.partition("@")[0]) != REPOSITORY
    )


def short_name(repository: str) -> str:
    """`docker.io/library/python` -> `python`."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def is_moving(reference: str) -> bool:
    """Does the name say `latest`, in words or by silence?"""
    return "@" not in reference and not ID.fullmatch(reference) and split_reference(reference)[1] == "latest"


def layers_of(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The digests of its layers' tars."""
    return tuple((found.get("RootFS") or {}).get("Layers") or ())


def settings_digest(found: Mapping[str, Any]) -> str:
    """What else makes the image: two engines that count ids differently agree on layers and on this."""
    config = found.get("Config") or {}
    values = {key: config.get(key) for key in BEHAVIOUR if config.get(key)}
    return digest_json({"architecture": found.get("Architecture"), "os": found.get("Os"), "config": values})


def is_same(found: Mapping[str, Any], lock: Lock, counts_configs: bool) -> bool:
    """Is this the recorded image? An id that both engines count of the configuration says it alone; where one counts
    otherwise, all that the image consists of does."""
    if full_id(found["Id"]) == full_id(lock.id):
        return True
    if counts_configs and lock.is_counted_by_config:
        return False
    return bool(lock.layers) and layers_of(found) == lock.layers and settings_digest(found) == lock.image["settings"]


def sources(digests: tuple[str, ...], reference: str | None) -> Iterator[str]:
    """By which names a registry may be asked for the very image, the user's own first."""
    best = best_digest(digests, reference)
    if best:
        yield best
    yield from (digest for digest in digests if digest != best)
