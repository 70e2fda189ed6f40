"""The kind `apptainer`: commands run inside of an image file, which is kept with the run."""

import shutil

from mltrack.confine import inside
from mltrack.digest import digest_bytes
from mltrack.environments import Found, Rebuilt, Started
from mltrack.errors import Damaged, EnvironmentFailed
from mltrack.records import Environment

NAME = "apptainer"


def applies(request):
    return str(request.options.get("image", "")).endswith(".sif")


def start(request):
    asked = request.request
    places = (asked.project or asked.cwd, request.run_dir, *request.reads)
    binds = [word for place in places for word in ("--bind", str(place))]
    words = ("apptainer", "exec", *binds, "--pwd", str(asked.cwd), str(image_of(asked)), *asked.argv)
    return Started(words, asked.cwd, asked.variables)


def capture(request):
    image = image_of(request)
    digest = digest_bytes(image.read_bytes())
    lock = f"apptainer {digest} {image.name}\n".encode()
    return Found(Environment(digest=digest, kind=NAME), lock, trees={"image": {image.name: image}})


def rebuild(request):
    words = (request.recorded.lock or b"").decode(errors="replace").rstrip("\n").split(" ", 2)
    kept = request.recorded.lay_out("image")
    if len(words) != 3 or kept is None:
        raise EnvironmentFailed("The image of this run was not kept.", "Pull from the remote that has it.")
    image, copy = inside(kept, words[2]), inside(request.place, words[2])
    if not image.is_file() or digest_bytes(image.read_bytes()) != words[1]:
        raise Damaged("The image is not the one that was recorded.", "Run `mltrack verify`.")
    request.place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image, copy)
    return Rebuilt(request.command, {}, None, options={"image": str(copy)})


def image_of(request):
    image = (request.project or request.cwd) / str(request.options.get("image", ""))
    if not image.is_file():
        raise EnvironmentFailed(f"There is no image file {image}.", "Name one with `--image model.sif`.")
    return image
