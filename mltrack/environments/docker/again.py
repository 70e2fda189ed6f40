"""A recorded image on this machine's engine: brought back, looked for, written as a Dockerfile, made a tree."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.environments import Finding, Gathered, Rebuilt
from mltrack.environments.docker.archive import pack, read_archive, unpack
from mltrack.environments.docker.context import counted, digest_of, tree_below
from mltrack.environments.docker.engine import Engine, connect
from mltrack.environments.docker.images import (
    REPOSITORY,
    Recipe,
    best_digest,
    build_recipe,
    full_id,
    is_same,
    pull_image,
    sources,
)
from mltrack.environments.docker.lock import Lock, read_lock
from mltrack.environments.docker.settings import listed, read_mount
from mltrack.environments.docker.trust import target, trusted
from mltrack.errors import Damaged, EnvironmentFailed, MltrackError
from mltrack.records import Warning
from mltrack.redact import PLACEHOLDER

if TYPE_CHECKING:
    from mltrack.environments import RebuildRequest, Recorded

Way = Callable[[], "tuple[dict[str, Any], tuple[Warning, ...]] | None"]


def bring_back(request: RebuildRequest) -> Rebuilt:
    """The image, and the settings for `start`. Raises EnvironmentFailed that names what was tried."""
    recorded = request.recorded
    lock = read_lock(recorded.lock)
    asked = trusted(recorded)
    mounts = check_mounts(asked["mounts"], recorded, request.workspace)
    with connect(recorded.variables) as engine:
        found, warnings = get_image(engine, recorded, lock)
        warnings += architecture_warning(engine, found)
    options = {**asked, "pinned": full_id(found["Id"]), "mounts": mounts or None}
    return Rebuilt(request.command, {}, recorded.environment.python, warnings, options)


def get_image(engine: Engine, recorded: Recorded, lock: Lock) -> tuple[dict[str, Any], tuple[Warning, ...]]:
    """The first way that works, from the exact to the nearest."""
    ways: tuple[tuple[str, Way], ...] = (
        ("on this engine", lambda: here(engine, lock)),
        ("from a registry", lambda: pulled(engine, recorded, lock)),
        ("from the store or a remote", lambda: loaded(engine, recorded, lock)),
        ("from its Dockerfile", lambda: built(engine, recorded, lock)),
    )
    tried = []
    for name, way in ways:
        try:
            result = way()
        except Damaged:
            raise
        except MltrackError as error:
            tried.append(f"{name}: {error.message}")
            continue
        if result is not None:
            return result
        tried.append(f"{name}: none")
    raise EnvironmentFailed(
        f"The image {lock.image.get('reference') or lock.id} cannot be had. " + " ".join(map(ended, tried)),
        "On a machine that has it: mltrack push --images.",
    )


def ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def here(engine: Engine, lock: Lock) -> tuple[dict[str, Any], tuple[Warning, ...]] | None:
    found = engine.find_image(lock.id)
    return None if found is None else (found, ())


def pulled(engine: Engine, recorded: Recorded, lock: Lock) -> tuple[dict[str, Any], tuple[Warning, ...]] | None:
    """By digest. What a registry has under it for another architecture is another image."""
    failure: EnvironmentFailed | None = None
    platform = platform_of(lock)
    for name in sources(lock.digests, lock.image.get("reference")):
        try:
            found = pull_image(engine, name, recorded.tell, platform)
        except EnvironmentFailed as error:
            failure = error
            continue
        if is_recorded(engine, found, lock):
            return found, ()
        failure = EnvironmentFailed(f"{name} is another image here, {found['Id']}.")
    if failure is not None:
        raise failure
    return None


def platform_of(lock: Lock) -> str | None:
    image = lock.image
    return f"{image['os']}/{image['architecture']}" if image.get("os") and image.get("architecture") else None


def loaded(engine: Engine, recorded: Recorded, lock: Lock) -> tuple[dict[str, Any], tuple[Warning, ...]] | None:
    """From the tree `image`, verified; it is given a name, so that no prune takes it."""
    place = recorded.lay_out("image")
    if place is None:
        return None
    archive = read_archive(place)
    if archive.layers != lock.layers or lock.id not in (archive.id, archive.config):
        raise Damaged("The kept image is not the recorded one.", "Run `mltrack verify`.")
    recorded.tell(f"loading {lock.image.get('reference') or lock.id}")
    engine.load(pack(archive), lock.id)
    found = engine.find_image(archive.config) or engine.find_image(lock.id)
    if found is None or not is_recorded(engine, found, lock):
        raise EnvironmentFailed(f"The engine made another image of the kept one than {lock.id}.", "Try another engine.")
    keep_name(engine, found, lock)
    same_id = full_id(found["Id"]) == lock.id
    text = "The image is the recorded one layer by layer, but this engine counts its id in another way."
    return found, () if same_id else (Warning("image", text),)


def keep_name(engine: Engine, found: dict[str, Any], lock: Lock) -> None:
    if not found.get("RepoTags"):
        engine.tag(str(found["Id"]), REPOSITORY, lock.id.rpartition(":")[2][:16])


def is_recorded(engine: Engine, found: dict[str, Any], lock: Lock) -> bool:
    return is_same(found, lock, engine.counts_configs)


def built(engine: Engine, recorded: Recorded, lock: Lock) -> tuple[dict[str, Any], tuple[Warning, ...]] | None:
    """From the tree `context`: not the same image, and the reader is told."""
    build = lock.build
    place = recorded.lay_out("context") if build is not None else None
    if build is None or place is None:
        return None
    if any(PLACEHOLDER in text for text in build.args.values()):
        raise EnvironmentFailed("an argument of the build was a secret, which is not recorded.")
    tree = tree_below(place)
    if digest_of(tree) != build.kept:
        raise Damaged("The kept context is not the recorded one.", "Run `mltrack verify`.")
    if build.dockerfile not in tree:
        raise EnvironmentFailed(f"{build.dockerfile} is not kept, as git ignores it.")
    recipe = Recipe(tree, build.dockerfile, build.kept, build.args, build.target)
    found = build_recipe(engine, recipe, trusted(recorded).get("network"), recorded.tell)
    if is_recorded(engine, found, lock):
        return found, ()
    text = (
        "The image was built again from its Dockerfile, as it could not be had: a rebuilt image is not the same image "
        f"({full_id(found['Id'])} instead of {lock.id})."
    )
    if build.left_out:
        text += f" Its context lacks {counted(build.left_out)} that mltrack does not keep."
    return found, (Warning("image", text),)


def architecture_warning(engine: Engine, found: dict[str, Any]) -> tuple[Warning, ...]:
    theirs, ours = found.get("Architecture"), engine.architecture
    if not theirs or theirs == ours:
        return ()
    return (Warning("image", f"The image is for {theirs}; this engine is {ours}, and can only emulate it."),)


def check_mounts(mounts: Sequence[str], recorded: Recorded, workspace: Path) -> list[str]:
    """The recorded mounts; today's setting for the same place inside comes first, where its source is here."""
    today = {target(text): text for text in listed("mounts", recorded.options.get("mounts") or ())}
    home = recorded.variables.get("HOME")
    chosen = []
    for text in mounts:
        candidates = dict.fromkeys([today.get(target(text), text), *([text] if recorded.is_ours else ())])
        here = [word for word in candidates if os.path.exists(read_mount(word, workspace, home).source)]
        if not here:
            raise EnvironmentFailed(
                f"The run had {text.partition(':')[0]} mounted, which is not on this machine.",
                f"Bring the data, and say where it is: environment: {{mounts: [HERE:{target(text)}]}}.",
            )
        chosen.append(here[0])
    return chosen


# -- without a command


def look(recorded: Recorded) -> tuple[Finding, ...]:
    """One finding about the image. Nothing is pulled."""
    try:
        lock = read_lock(recorded.lock)
    except Damaged as error:
        return (Finding("image", error.message),)
    name = str(lock.image.get("reference") or lock.id)
    problems = []
    try:
        with connect(recorded.variables) as engine:
            if engine.find_image(lock.id) is not None:
                return (Finding(name, place="this machine"),)
            for digest in sources(lock.digests, lock.image.get("reference")):
                try:
                    engine.registry_digest(digest)
                    return (Finding(name, place=digest.partition("@")[0]),)
                except EnvironmentFailed as error:
                    problems.append(error.message)
    except EnvironmentFailed as error:
        return (Finding(name, error.message),)
    if "image" in recorded.environment.trees:
        return (Finding(name, place="stored"),)
    said = " ".join(problems) or "It has no digest in any registry, and is not on this machine."
    if lock.build is not None and "context" in recorded.environment.trees:
        return (Finding(name, f"{said} It could be built again, which would not be the same image.", "stored"),)
    return (Finding(name, said),)


def dockerfile_of(recorded: Recorded) -> str:
    lock = read_lock(recorded.lock)
    if lock.build is not None:
        note = f"# The image {lock.id} was built from this, with the context {lock.build.context}.\n"
        args = "".join(f"# --build-arg {name}={text}\n" for name, text in sorted(lock.build.args.items()))
        return f"{note}{args}{lock.build.text}"
    reference = lock.image.get("reference")
    best = best_digest(lock.digests, reference)
    if best is None:
        return f"# No registry has a digest for it; the run had the image {lock.id}.\nFROM {reference or lock.id}\n"
    return f"# {reference or best}, the image {lock.id}\nFROM {best}\n"


def image_tree(recorded: Recorded, scratch: Path) -> Gathered:
    """What `docker save` gives, apart. Pulled first if it is not here and a registry has it."""
    lock = read_lock(recorded.lock)
    secrets = [name for name, text in lock.build.args.items() if PLACEHOLDER in text] if lock.build else []
    if secrets:
        raise EnvironmentFailed(
            f"The image {lock.id} holds the secret that its build was given as {', '.join(secrets)}, for everybody to "
            "read in its history, and is not carried.",
            "Pass it as a mount or a variable of the run instead, or by `docker build --secret`, and run again.",
        )
    with connect(recorded.variables) as engine:
        found = here(engine, lock)
        if found is None:
            with suppress(EnvironmentFailed):
                found = pulled(engine, recorded, lock)
        if found is None:
            raise EnvironmentFailed(
                f"The image {lock.image.get('reference') or lock.id} is not on this engine any more.",
                "Push from the machine that has it.",
            )
        tree = unpack(engine.save(str(found[0]["Id"])), lock.id, scratch / "image")
    return Gathered(tree=tree)
