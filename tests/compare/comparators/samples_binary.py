"""Pairs of binary files, and what each pair comes to: (name of the file, the recorded bytes, the new ones, grade).

Real writers make them where they are here: numpy, pillow, matplotlib, pyarrow, the standard library. What PyTorch and
Keras write is built of the same members with zipfile.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import zstandard

Sample = tuple[str, bytes, bytes, str]

EARLY, LATE = (2026, 1, 2, 3, 4, 6), (2026, 11, 21, 15, 16, 18)


def zipped(
    members: Mapping[str, bytes], at: tuple[int, ...] = EARLY, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    """A zip whose members were all written at one time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            info = zipfile.ZipInfo(name, at)  # type: ignore[arg-type]
            info.compress_type = method
            archive.writestr(info, data)
    return made.getvalue()


def tarred(
    members: Mapping[str, bytes | str], mtime: int = 0, mode: int = 0o644, format: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar; a member that is a text is a symbolic link to it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode, info.uid, info.uname = mtime, mode, mtime % 1000, f"user{mtime}"
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    """What numpy.save writes; with a version of the format, if asked."""
    made = io.BytesIO()
    if version:
        np.lib.format.write_array(made, array, version=version, allow_pickle=True)
    else:
        np.save(made, array)
    return made.getvalue()


def npz(**arrays: Any) -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()


def safetensors(
    tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Tensors in the order given: name -> (type, shape, bytes)."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    data = b""
    for name, (kind, shape, raw) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def torch_pickle(storages: Mapping[str, tuple[str, int]]) -> bytes:
    """What PyTorch's pickle of a dict of tensors holds: key -> (class of its storage, length). Nobody loads it."""
    out, memo = [b"\x80\x02}q\x00("], 1

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    for number, (key, (kind, length)) in enumerate(storages.items()):
        out.append(text(f"layer{key}") + b"q" + bytes([memo]))
        out.append(b"ctorch._utils\n_rebuild_tensor_v2\nq" + bytes([memo + 1]) + b"((")
        out.append(text("storage") + b"q" + bytes([100]) if not number else b"h" + bytes([100]))
        out.append(f"ctorch\n{kind}\n".encode() + b"q" + bytes([memo + 2]) + text(key) + b"q" + bytes([memo + 3]))
        out.append(text("cpu") + b"q" + bytes([101]) if not number else b"h" + bytes([101]))
        out.append(
            b"K"
            + bytes([length])
            + b"tq"
            + bytes([memo + 4])
            + b"QK\x00K"
            + bytes([length])
            + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
        )
        memo += 5
    return b"".join([*out, b"u."])


def torch_zip(top: str, tensors: Mapping[str, Any], id: str, pickle: bytes | None = None) -> bytes:
    """What torch.save writes of a dict of numpy arrays."""
    kinds = {"float32": "FloatStorage", "int64": "LongStorage", "uint16": "BFloat16Storage"}
    plan = {key: (kinds[str(array.dtype)], array.size) for key, array in tensors.items()}
    members = {
        "data.pkl": pickle or torch_pickle(plan),
        "byteorder": b"little",
        **{f"data/{key}": array.tobytes() for key, array in tensors.items()},
        "version": b"3\n",
        ".data/serialization_id": id.encode(),
    }
    return zipped({f"{top}/{name}": data for name, data in members.items()}, (1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED)


def image(format: str, pixels: Any, **options: Any) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(pixels).save(made, format, **options)
    return made.getvalue()


def animation(format: str, frames: list[Any], **options: Any) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(made, format, save_all=True, append_images=others, **options)
    return made.getvalue()


def table(
    columns: Mapping[str, list[Any]],
    kind: str = "parquet",
    metadata: Mapping[bytes, bytes] | None = None,
    **options: Any,
) -> bytes:
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    made, rows = io.BytesIO(), pyarrow.table(dict(columns)).replace_schema_metadata(metadata)
    if kind == "parquet":
        pyarrow.parquet.write_table(rows, made, **options)
    else:
        opened = pyarrow.ipc.new_file if kind == "file" else pyarrow.ipc.new_stream
        with opened(made, rows.schema) as writer:
            writer.write_table(rows, **options)
    return made.getvalue()


@cache
def figure(format: str, day: int, height: float = 1.0) -> bytes:
    """A plot by matplotlib, saved on a day."""
    from datetime import datetime, timezone

    import matplotlib
    from matplotlib.figure import Figure

    made = io.BytesIO()
    plot = Figure(figsize=(2, 2))
    plot.subplots().plot([0, 1, 2], [0, height, 0.5])
    date = {"CreationDate": datetime(2026, 1, day, tzinfo=timezone.utc)} if format == "pdf" else {}
    text = {"Creation Time": f"day {day}"} if format == "png" else {}
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        plot.savefig(made, format=format, metadata={**date, **text})
    return made.getvalue()


def pdf(objects: list[bytes], trailer: bytes = b"", version: bytes = b"1.4") -> bytes:
    """A PDF of objects numbered from 1, with its cross-references."""
    data, places = b"%PDF-" + version + b"\n%\xe2\xe3\xcf\xd3\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, trailer, len(data))
    )


def page(
    content: bytes, date: bytes = b"D:20260102030405", writer: bytes = b"R 4.2.2", level: int = 6, id: bytes = b"00"
) -> bytes:
    """A PDF of one page, as R's pdf() writes it."""
    packed = zlib.compress(content, level)
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>",
            b"<< /Length 5 0 R /Filter /FlateDecode >>\nstream\n%s\nendstream" % packed,
            b"%d" % len(packed),
            b"<< /CreationDate (%s) /ModDate (%s) /Title (R Graphics \\(one\\)) /Producer (%s) >>"
            % (date, date, writer),
        ],
        b"/Info 6 0 R /ID [<%s><%s>] " % (id, id),
    )


def png_with(extra: bytes, png: bytes) -> bytes:
    """The same image with a text in it."""
    chunk = b"tEXt" + extra
    return png[:33] + struct.pack(">I", len(extra)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def gzipped(data: bytes, mtime: int = 0, level: int = 9) -> bytes:
    made = io.BytesIO()
    with gzip.GzipFile("", "wb", level, made, mtime) as file:
        file.write(data)
    return made.getvalue()


FLOATS = np.arange(24, dtype=np.float32).reshape(4, 6) / 7
MOVED = FLOATS.copy()
MOVED[2, 3] += 0.5
PIXELS = np.random.default_rng(7).integers(0, 256, (9, 11, 3), np.uint8)
TOUCHED = PIXELS.copy()
TOUCHED[4, 5, 1] ^= 3
ROWS = {"id": [1, 2, 3, 4], "loss": [0.5, None, float("nan"), 0.25], "name": ["a", "b", None, "d"]}
OTHER_ROWS = {**ROWS, "loss": [0.5, None, float("nan"), 0.75]}
TEXT = b"step,loss\n0,0.5\n1,0.25\n" * 40
OTHER_TEXT = TEXT.replace(b"0.25", b"0.35", 1)


def samples() -> list[Sample]:
    """All pairs. Made when they are asked for: matplotlib and pyarrow take their time."""
    found = [*archives(), *compressed(), *numbers(), *pictures(), *documents(), *tables()]
    return [*found, *figures()] if int(os.environ.get("MLTRACK_SOAK", "1")) > 1 else found


def archives() -> list[Sample]:
    files = {"a.txt": b"alpha\n", "b.npy": npy(FLOATS), "d/": b"", "d/c.csv": TEXT}
    moved = {**files, "b.npy": npy(MOVED)}
    backwards = dict(reversed(files.items()))
    torch = {"0": FLOATS, "1": np.arange(5)}
    other = {"0": MOVED, "1": np.arange(5)}
    keras = {"config.json": b'{"layers": 3}', "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(64)}
    date = [
        json.dumps({"keras_version": "3.5.0", "date_saved": at}).encode()
        for at in ("2026-01-02@12:00:00", "2026-11-21@08:01:09")
    ]
    links = {"run": "a.txt", "a.txt": b"alpha\n"}
    return [
        ("results.zip", zipped(files), zipped(files, LATE), "equivalent"),
        ("results.zip", zipped(files), zipped(files, EARLY, zipfile.ZIP_STORED, b"a comment"), "equivalent"),
        ("results.zip", zipped(files), zipped(backwards), "equivalent"),
        ("results.zip", zipped(files), zipped(moved), "different"),
        ("results.zip", zipped(files), zipped({**files, "e.txt": b""}), "different"),
        ("deep.zip", zipped({"in.zip": zipped(files)}), zipped({"in.zip": zipped(files, LATE)}), "equivalent"),
        ("deep.zip", zipped({"in.zip": zipped(files)}), zipped({"in.zip": zipped(moved)}), "different"),
        ("w.npz", npz(w=FLOATS, b=PIXELS), npz(b=PIXELS, w=np.asfortranarray(FLOATS)), "equivalent"),
        ("w.npz", npz(w=FLOATS, b=PIXELS), npz(w=MOVED, b=PIXELS), "different"),
        ("model.pt", torch_zip("model", torch, "1"), torch_zip("best", torch, "2"), "equivalent"),
        ("model.pt", torch_zip("model", torch, "1"), torch_zip("model", other, "1"), "different"),
        (
            "model.pt",
            torch_zip("m", torch, "1"),
            torch_zip("m", torch, "1", torch_pickle({"0": ("FloatStorage", 9)})),
            "different",
        ),
        (
            "model.keras",
            zipped({**keras, "metadata.json": date[0]}),
            zipped({**keras, "metadata.json": date[1]}, LATE),
            "equivalent",
        ),
        (
            "model.keras",
            zipped(keras),
            zipped({**keras, "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(63) + b"1"}),
            "different",
        ),
        ("data.tar", tarred(files | {"d/": b""}, 1), tarred(backwards, 99), "equivalent"),
        ("data.tar", tarred(links, 1), tarred(links, 1, format=tarfile.GNU_FORMAT), "equivalent"),
        ("data.tar", tarred(links), tarred({**links, "run": "b.txt"}), "different"),
        ("data.tar", tarred(links), tarred(links, mode=0o755), "different"),
        ("data.tar", tarred(files), tarred(moved), "different"),
    ]


def compressed() -> list[Sample]:
    inner = tarred({"a.csv": TEXT}), tarred({"a.csv": TEXT}, 5), tarred({"a.csv": OTHER_TEXT})
    squeeze = zstandard.ZstdCompressor(level=1).compress
    return [
        ("log.csv.gz", gzipped(TEXT, 1), gzipped(TEXT, 2), "equivalent"),
        ("log.csv.gz", gzipped(TEXT), gzipped(TEXT[:50]) + gzipped(TEXT[50:]), "equivalent"),
        ("log.csv.gz", gzipped(TEXT), gzipped(OTHER_TEXT), "different"),
        ("log.csv.bz2", bz2.compress(TEXT, 1), bz2.compress(TEXT, 9), "equivalent"),
        ("log.csv.bz2", bz2.compress(TEXT), bz2.compress(OTHER_TEXT), "different"),
        ("log.csv.xz", lzma.compress(TEXT, preset=0), lzma.compress(TEXT, check=lzma.CHECK_CRC32), "equivalent"),
        ("log.csv.xz", lzma.compress(TEXT), lzma.compress(OTHER_TEXT), "different"),
        ("log.csv.zst", squeeze(TEXT), squeeze(TEXT[:60]) + squeeze(TEXT[60:]), "equivalent"),
        ("log.csv.zst", squeeze(TEXT), squeeze(OTHER_TEXT), "different"),
        ("data.tar.gz", gzipped(inner[0]), gzipped(inner[1], 7), "equivalent"),
        ("data.tgz", gzipped(inner[0]), gzipped(inner[2]), "different"),
        ("fit.rds", gzipped(rds(4, 2, b"model")), gzipped(rds(4, 3, b"model")), "equivalent"),
        ("fit.rds", gzipped(rds(4, 2, b"model")), gzipped(rds(4, 2, b"modem")), "different"),
    ]


def rds(major: int, minor: int, data: bytes) -> bytes:
    """The beginning of what R's saveRDS writes, before it is compressed."""
    return b"X\n\0\0\0\3\0" + bytes([major, minor, 1]) + b"\0\3\5\0\0\0\0\5UTF-8" + data


def numbers() -> list[Sample]:
    nans = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    mixed = np.array([(1, 2.5, b"x"), (2, 3.5, b"y")], [("n", "<i4"), ("v", "<f8"), ("s", "S3")])
    renamed = mixed.copy()
    renamed["s"][1] = b"z"
    tensors = {"w": ("F32", (4, 6), FLOATS.tobytes()), "b": ("BF16", (2,), b"\x80\x3f\x00\x40")}
    moved = {**tensors, "b": ("BF16", (2,), b"\x80\x3f\x40\x40")}
    small = {"s": ("F8_E4M3", (2, 2), b"\x38\x40\x7f\x01"), "t": ("F8_E5M2", (1,), b"\x3c")}
    return [
        ("w.npy", npy(FLOATS), npy(np.asfortranarray(FLOATS)), "equivalent"),
        ("w.npy", npy(FLOATS), npy(FLOATS.astype(">f4")), "equivalent"),
        ("w.npy", npy(FLOATS), npy(FLOATS, (2, 0)), "equivalent"),
        ("w.npy", npy(nans[:1]), npy(nans[1:]), "equivalent"),
        ("w.npy", npy(FLOATS), npy(MOVED), "different"),
        ("w.npy", npy(FLOATS), npy(FLOATS.T.copy()), "different"),
        ("w.npy", npy(FLOATS), npy(FLOATS.astype(np.float64)), "different"),
        ("w.npy", npy(mixed), npy(mixed, (2, 0)), "equivalent"),
        ("w.npy", npy(mixed), npy(renamed), "different"),
        (
            "m.safetensors",
            safetensors(tensors),
            safetensors(dict(reversed(tensors.items())), {"format": "pt"}),
            "equivalent",
        ),
        ("m.safetensors", safetensors(tensors), safetensors(moved), "different"),
        ("m.safetensors", safetensors(small), safetensors(small, {"step": "3"}), "equivalent"),
        ("m.safetensors", safetensors(small), safetensors({**small, "t": ("F8_E5M2", (1,), b"\x3d")}), "different"),
        (
            "m.safetensors",
            safetensors(tensors),
            safetensors({**tensors, "b": ("F16", (2,), b"\x80\x3f\x00\x40")}),
            "different",
        ),
        ("model.pkl", b"\x80\x04K\x01.", b"\x80\x04K\x02.", "different"),
    ]


def pictures() -> list[Sample]:
    found: list[Sample] = []
    for format, options in {
        "PNG": {"compress_level": 1}, "GIF": {"comment": b"new"}, "BMP": {"dpi": (30, 30)},
        "TIFF": {"compression": "tiff_lzw"}, "WEBP": {"xmp": b"<x/>"},
    }.items():  # fmt: skip
        name, lossless = f"plot.{format.lower()}", {"lossless": True} if format == "WEBP" else {}
        once = image(format, PIXELS, **lossless)
        found.append((name, once, image(format, PIXELS, **lossless, **options), "equivalent"))
        found.append((name, once, image(format, TOUCHED, **lossless), "different"))
    jpeg = image("JPEG", PIXELS, quality=95)
    turned = image(
        "JPEG", PIXELS, quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    )
    gray = PIXELS[:, :, 0]
    return [
        *found,
        ("photo.jpg", jpeg, image("JPEG", PIXELS, quality=95, comment=b"taken today", optimize=True), "equivalent"),
        ("photo.jpg", jpeg, image("JPEG", TOUCHED, quality=95), "different"),
        ("photo.jpg", jpeg, turned, "different"),
        ("plot.png", image("PNG", gray), png_with(b"date:create\0now", image("PNG", gray)), "equivalent"),
        ("plot.png", image("PNG", gray), image("PNG", gray[:, :10]), "different"),
        ("film.gif", animation("GIF", [gray, gray[::-1]], duration=100), animation("GIF", [gray, gray[::-1]], duration=100, comment=b"b"), "equivalent"),
        ("film.gif", animation("GIF", [gray, gray[::-1]], duration=100), animation("GIF", [gray, gray[::-1]], duration=200), "different"),
        ("film.gif", animation("GIF", [gray, gray[::-1]], duration=100), animation("GIF", [gray, gray[:, ::-1]], duration=100), "different"),
    ]  # fmt: skip


def documents() -> list[Sample]:
    drawn, other = b"0 0 m 10 10 l S\n" * 9, b"0 0 m 10 11 l S\n" * 9
    return [
        ("Rplots.pdf", page(drawn), page(drawn, b"D:20261121151618+01'00'", b"R 4.3.0", 1, b"ff"), "equivalent"),
        ("Rplots.pdf", page(drawn), page(other), "different"),
        ("Rplots.pdf", page(drawn), page(drawn).replace(b"R Graphics", b"S Graphics"), "different"),
    ]


def figures() -> list[Sample]:
    """By matplotlib, which looks for fonts for seconds in each new home."""
    return [
        (f"plot.{kind}", figure(kind, 1), figure(kind, *other), grade)
        for kind in ("png", "pdf")
        for other, grade in (((2,), "equivalent"), ((1, 0.9), "different"))
    ]


def tables() -> list[Sample]:
    lists = {"x": [[1.0, float("nan")], None, [2.0]]}
    return [
        ("rows.parquet", table(ROWS), table(ROWS, compression="gzip", row_group_size=2), "equivalent"),
        ("rows.parquet", table(ROWS), table(OTHER_ROWS), "different"),
        ("rows.parquet", table(ROWS), table({**ROWS, "loss": [0.5, 0.0, float("nan"), 0.25]}), "different"),
        ("rows.parquet", table(ROWS), table({**ROWS, "name": ["a", "b", "", "d"]}), "different"),
        ("rows.parquet", table(ROWS), table({key: value[:3] for key, value in ROWS.items()}), "different"),
        ("rows.parquet", table(ROWS), table(ROWS, metadata={b"note": b"new"}), "different"),
        ("rows.parquet", table(lists), table(lists, use_dictionary=False), "equivalent"),
        ("rows.parquet", table(lists), table({"x": [[1.0, float("nan")], [], [2.0]]}), "different"),
        ("rows.feather", table(ROWS, "file"), table(ROWS, "file", max_chunksize=3), "equivalent"),
        ("rows.arrow", table(ROWS, "file"), table(OTHER_ROWS, "file"), "different"),
        ("rows.arrow", table(ROWS, "stream"), table(ROWS, "stream", max_chunksize=1), "equivalent"),
        ("rows.arrow", table(ROWS, "stream"), table(OTHER_ROWS, "stream"), "different"),
    ]
