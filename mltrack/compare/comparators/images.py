"""Comparator of raster images: PNG, JPEG, GIF, BMP, TIFF, WebP, by the pixels of their frames.

Only pillow's decoders of these formats are used, and only on images whose pixels fit in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, LARGEST_IN_MEMORY, Around, Content, Finding, Unreadable
from mltrack.compare.contents.cells import AT_ONCE, Array, Cells, Where
from mltrack.compare.contents.inner import careful, read_fully, refusing
from mltrack.compare.contents.measuring import summary
from mltrack.compare.contents.tiff_tags import first_difference, frame_tags

if TYPE_CHECKING:
    from PIL.Image import Image

WHAT = (
    "the compression of an image, its text fields, times, resolution and thumbnails; in a TIFF layout and times alone"
)

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")

SEEN = ("icc_profile", "gamma", "transparency", "duration", "loop", "disposal", "blend", "background")
"""What pillow tells of an image beside its pixels that changes how it looks."""

ORIENTATION = 0x0112

MOST_FRAMES = 10_000
MOST_PIXELS_IN_ALL = 4 << 30


def fits(name: str, head: bytes) -> bool:
    """By the first bytes."""
    if head.startswith(b"BM"):
        return name.lower().endswith((".bmp", ".dib"))
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Pixel against pixel, frame by frame."""
    with opened(a) as then, opened(b) as now:
        if then.format != now.format:
            return Finding(DIFFERENT, f"it is a {now.format}, and was a {then.format}")
        frames = [frame_count(image) for image in (then, now)]
        if frames[0] != frames[1]:
            return Finding(DIFFERENT, f"it has {frames[1]} frames, and had {frames[0]}")
        cells, fields = Cells(), set[str]()
        for number in range(frames[0]):
            _turn_to(number, then, now)
            if (different := _unlike(then, now)) is not None:
                return different
            fields |= _fields(then, now)
            _add_frame(cells, then, now, f"frame {number}, " if frames[0] > 1 else "")
        if then.format == "TIFF" and (tag := unlike_tags(a, b, frames[0])) is not None:
            return Finding(DIFFERENT, f"its {tag} differs")
    if cells.changed:
        measure = cells.measure()
        return Finding(DIFFERENT, summary(measure, "pixel value"), measure)
    told = f" ({', '.join(sorted(fields)[:3])})" if fields else ""
    return Finding(EQUIVALENT, f"the same pixels; only the compression or the fields beside them differ{told}")


@contextmanager
def opened(content: Content) -> Iterator[Image]:
    """A pillow image. Its warnings, of damaged fields and of bombs, are refusals here."""
    from PIL import Image

    with careful(content.open) as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        _check_end(file, content.size)
        with refusing(lambda: Image.open(file, formats=FORMATS)) as image:
            yield image


def _check_end(file: BinaryIO, size: int) -> None:
    """Where its format tells an end, the file ends there: decoders do not mind what is missing or follows."""
    head = read_fully(file, 12)
    file.seek(max(size - 12, 0))
    tail = read_fully(file, 12)
    file.seek(0)
    ends = {
        b"\x89PNG": tail == b"\0\0\0\0IEND\xaeB`\x82",
        b"GIF8": tail.endswith(b";"),
        b"RIFF": int.from_bytes(head[4:8], "little") + 8 == size,
    }
    whole = tail.endswith(b"\xff\xd9") if head.startswith(b"\xff\xd8") else ends.get(head[:4], True)
    if head.startswith(b"BM"):
        whole = int.from_bytes(head[2:6], "little") in (0, size)
    if not whole:
        raise Unreadable("it is cut off, or bytes follow its end")


def _turn_to(number: int, *images: Image) -> None:
    for image in images:
        refusing(lambda image=image: image.seek(number))  # type: ignore[misc]
        _check_frame(image)
        refusing(image.load)  # some formats tell how long a frame is shown only then


def frame_count(image: Image) -> int:
    """How many frames it has. Raises Unreadable where they are too many to be looked at."""
    count = refusing(lambda: int(getattr(image, "n_frames", 1)))
    if count > MOST_FRAMES or count * image.width * image.height > MOST_PIXELS_IN_ALL:
        raise Unreadable(f"it has {count:,} frames of {image.width}x{image.height} pixels, too many to be compared")
    return count


def unlike_tags(a: Content, b: Content, frames: int) -> str | None:
    """The first tag of two TIFFs that says another thing."""
    with careful(a.open) as f, careful(b.open) as g:
        then, now = (refusing(lambda file=file: frame_tags(file, frames)) for file in (f, g))  # type: ignore[misc]
    pairs = enumerate(zip(then, now))
    found = ((number, first_difference(one, other)) for number, (one, other) in pairs)
    return next((f"{tag} in frame {number}" for number, tag in found if tag is not None), None)


def pixels(image: Image, top: int, bottom: int) -> Array:
    """Some rows of the current frame as an array: rows, columns, and channels where there are several."""
    import numpy as np

    strip = refusing(lambda: image.crop((0, top, image.width, bottom)))
    if strip.mode in ("P", "PA"):
        strip = refusing(lambda: strip.convert("RGBA"))
    return refusing(lambda: np.asarray(strip))


def _check_frame(image: Image) -> None:
    """Whether a frame can be decoded, and as a whole. Before anything asks pillow to: even its fields may need that."""
    width = 1 if image.mode in ("1", "L") else 2 if image.mode.startswith("I;16") else 4  # as pillow keeps them
    if image.width * image.height * width > LARGEST_IN_MEMORY:
        raise Unreadable(f"it has {image.width}x{image.height} pixels, too many to be compared")
    if image.mode not in ("I;16", "I;16B", "I;16L") and any(";16" in part for part in _raw_modes(image)):
        raise Unreadable("its colours have 16 bits, of which pillow reads 8")


def _raw_modes(image: Image) -> list[str]:
    """How the pixels are kept in the file, by pillow's names."""
    return [
        str(part)
        for tile in getattr(image, "tile", ())
        for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
    ]


def _unlike(then: Image, now: Image) -> Finding | None:
    """What differs so much that no pixel has a partner, or changes how pixels look."""
    for what, before, after in (
        ("size", f"{then.width}x{then.height}", f"{now.width}x{now.height}"),
        ("kind of pixels", then.mode, now.mode),
    ):
        if before != after:
            return Finding(DIFFERENT, f"its {what} is {after}, and was {before}")
    orientation = [refusing(lambda image=image: image.getexif().get(ORIENTATION)) for image in (then, now)]  # type: ignore[misc]
    if orientation[0] != orientation[1]:
        return Finding(DIFFERENT, "its orientation differs")
    for name in SEEN:
        if then.info.get(name) != now.info.get(name):
            return Finding(DIFFERENT, f"its {name.replace('_', ' ')} differs")
    return None


def _fields(then: Image, now: Image) -> set[str]:
    """Names of the fields beside the pixels that differ."""
    names = then.info.keys() | now.info.keys()
    return {str(name)[:40] for name in names if then.info.get(name) != now.info.get(name)}


def _add_frame(cells: Cells, then: Image, now: Image, prefix: str) -> None:
    """Count the current frame, in strips."""
    width, height = then.size
    step = max(AT_ONCE // max(width * 4, 1), 1)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        a, b = (pixels(image, top, bottom) for image in (then, now))
        if a.shape != b.shape or a.dtype != b.dtype or a.shape[:2] != (bottom - top, width):
            raise Unreadable("its pixels are not what its header says")
        channels = a.shape[2] if a.ndim == 3 else 1
        bands = then.getbands() if channels == len(then.getbands()) else tuple("RGBA")
        cells.add(a.reshape(-1), b.reshape(-1), _place(prefix, top, width, bands))


def _place(prefix: str, top: int, width: int, bands: tuple[str, ...]) -> Where:
    """Names the pixel values of a strip that begins with row `top`."""

    def where(i: int) -> str:
        at, channel = divmod(i, len(bands))
        text = f"{prefix}row {top + at // width}, column {at % width}"
        return f"{text}, {bands[channel]}" if len(bands) > 1 else text

    return where
