"""An image as a tree of files, and back: what `docker save` writes, taken apart so that layers are shared.

    image.json          {"format": 1, "id": ..., "config": "sha256:...", "layers": ["sha256:...", ...]}
    config.json         the image's configuration, byte for byte; its SHA-256 is the id (of most engines)
    layers/<hex>.tar    one file a layer, uncompressed, named by the SHA-256 of its bytes

Two versions of an image have the same files for the layers that they share. Everything that comes back is verified.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mltrack.environments.docker.tarring import BLOCK, tar_of
from mltrack.errors import Damaged, EnvironmentFailed, StorageError
from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    pass

FORMAT = 1
MANIFEST, CONFIG = "image.json", "config.json"
DIGEST = lazy(r"sha256:[0-9a-f]{64}")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Blocks:
    """An iterator of bytes as a file to read from."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            block = next(self._blocks, None)
            if block is None:
                break
            self._rest += block
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


@noun
class Archive:
    """An image's tree that was laid out, as its manifest says it is."""

    place: Path
    id: str
    config: str
    layers: tuple[str, ...]


def unpack(saved: Iterable[bytes], identity: str, place: Path) -> dict[str, Path]:
    """Take what an engine saved apart, below `place`; the tree. Raises EnvironmentFailed, StorageError."""
    try:
        raw = place / "raw"
        files = take_out(saved, raw)
        tree = arrange(files, identity, place)
        shutil.rmtree(raw, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{place}: the image cannot be unpacked: {error}.", "Is there enough space?") from error
    except (tarfile.TarError, ValueError, KeyError, TypeError, IndexError) as error:
        raise EnvironmentFailed(f"What the engine saved of {identity} is strange: {error}.", "Try again.") from error
    return tree


def take_out(saved: Iterable[bytes], raw: Path) -> dict[str, Path]:
    """Write every file of the tar under a number; name in the tar -> file. Links point to the same file."""
    raw.mkdir(parents=True)
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=Blocks(saved), mode="r|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
        for member in archive:
            source = archive.extractfile(member) if member.isreg() else None
            if source is not None:
                files[member.name] = raw / str(len(files))
                with files[member.name].open("xb") as target:
                    shutil.copyfileobj(source, target, BLOCK)
            elif member.issym():
                links[member.name] = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
            elif member.islnk():
                links[member.name] = member.linkname
    for name, target_name in links.items():  # older engines link a layer that comes twice
        files[name] = files[target_name]
    return files


def arrange(files: dict[str, Path], identity: str, place: Path) -> dict[str, Path]:
    """Give configuration and layers their names; the tree. Raises ValueError at digests that do not fit."""
    described = json.loads(files["manifest.json"].read_bytes())[0]
    config = files[described["Config"]].read_bytes()
    layers = json.loads(config)["rootfs"]["diff_ids"]
    if len(layers) != len(described["Layers"]):
        raise ValueError("it has more layers than files")
    tree = {}
    (place / "layers").mkdir()
    for digest, name in zip(layers, described["Layers"]):
        tree[layer_name(digest)] = place / layer_name(digest)
        if not tree[layer_name(digest)].exists():
            settle(files[name], tree[layer_name(digest)], digest)
    manifest = {"format": FORMAT, "id": identity, "config": digest_of(config), "layers": layers}
    for name, content in ((CONFIG, config), (MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n")):
        tree[name] = place / name
        tree[name].write_bytes(content)
    return tree


def settle(source: Path, target: Path, digest: str) -> None:
    """Put a layer in its place, uncompressed (engines with an image store of containerd save it compressed)."""
    with source.open("rb") as file:
        start = file.read(4)
    if start.startswith((GZIP, ZSTD)):
        with plain(source, start) as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer, BLOCK)
    else:
        source.rename(target)
    if digest_of_file(target) != digest:
        raise ValueError(f"its layer {digest} has other bytes")


def plain(source: Path, start: bytes) -> IO[bytes]:
    """What a compressed file holds."""
    if start.startswith(GZIP):
        import gzip

        return gzip.open(source)  # type: ignore[return-value]
    import zstandard

    opened: IO[bytes] = zstandard.open(source, "rb")
    return opened


def layer_name(digest: str) -> str:
    """Where a layer lies in the tree. Raises ValueError if this is no digest."""
    if not isinstance(digest, str) or DIGEST.fullmatch(digest) is None:
        raise ValueError(f"{str(digest)[:80]!r} is no digest")
    return f"layers/{digest.partition(':')[2]}.tar"


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def digest_of_file(path: Path) -> str:
    state = sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return f"sha256:{state.hexdigest()}"


def read_archive(place: Path) -> Archive:
    """The image whose tree was laid out there. Raises Damaged if it is not whole, or not what it says."""
    try:
        manifest: dict[str, Any] = json.loads((place / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise Damaged(f"The kept image has format {manifest['format']!r}.", "Upgrade mltrack.")
        layers = tuple(manifest["layers"])
        config = (place / CONFIG).read_bytes()
        if digest_of(config) != manifest["config"] or tuple(json.loads(config)["rootfs"]["diff_ids"]) != layers:
            raise ValueError("its configuration has other bytes")
        missing = [name for name in map(layer_name, layers) if not (place / name).is_file()]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"The kept image is not what it should be: {error}.", "Run `mltrack verify`.") from error
    return Archive(place, manifest["id"], manifest["config"], layers)


def pack(archive: Archive) -> Iterator[bytes]:
    """The tar that `docker load` reads; the image gets no name by it, so that it takes none away."""
    config = f"{archive.config.partition(':')[2]}.json"
    manifest = [{"Config": config, "RepoTags": None, "Layers": [layer_name(digest) for digest in archive.layers]}]
    members: list[tuple[str, Path | bytes]] = [(config, archive.place / CONFIG)]
    members += [(layer_name(digest), archive.place / layer_name(digest)) for digest in dict.fromkeys(archive.layers)]
    return tar_of([*members, ("manifest.json", json.dumps(manifest).encode())])
