"""Pairs of text-like files, and what each pair comes to: (name of the file, the recorded bytes, the new ones, grade).

Every comparator has pairs of both grades here or in `samples_binary.py`; `tests/contracts/test_comparators.py` runs
over all of them.
"""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from typing import Any

from mltrack.compare.comparators import Around, Side
from mltrack.formats.events import masked

Sample = tuple[str, bytes, bytes, str]

AROUND = Around(
    Side(("/srv/project", "/home/ann"), ("alpha",), 1767261600.0, 1767522660.0, "UTC", ("project", "home")),
    Side(("/mnt/ws/project", "/root"), ("beta",), 1795248000.0, 1795248600.0, "UTC", ("project", "home")),
)
"""Where and when the two sides of all pairs were written: early in January and on a day in November."""

SWAPPED = Around(AROUND.now, AROUND.then)


def samples() -> list[Sample]:
    """All pairs."""
    found = [*texts(), *documents(), *tables(), *notebooks(), *markup(), *event_files()]
    return [(name, as_bytes(a), as_bytes(b), grade) for name, a, b, grade in found]


def as_bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def texts() -> list[tuple[str, Any, Any, str]]:
    log = "2026-01-02 10:30:00,123 INFO alpha pid 4711: epoch 1 loss 0.731\nsaved /srv/project/out/model.pt\n"
    again = "2026-11-21 08:01:09,001 INFO beta pid 99: epoch 1 loss 0.731\nsaved /mnt/ws/project/out/model.pt\n"
    return [
        ("train.log", log, again, "equivalent"),
        ("train.log", log, again.replace("0.731", "0.732"), "different"),
        ("train.log", log, again + "done\n", "different"),
        ("notes.md", "a\nb\n", "b\na\n", "different"),
        ("timing.txt", "took 3.2 s\n", "took 3.3 s\n", "different"),
        ("id.txt", "run 8f14e45f\n", "run c9f0f895\n", "different"),
        ("data.txt", "loaded /data/v1/train.csv\n", "loaded /data/v2/train.csv\n", "different"),
    ]


def documents() -> list[tuple[str, Any, Any, str]]:
    summary = {"loss": 0.25, "steps": [1, 2, 3], "at": "2026-01-02T10:30:00", "out": "/srv/project/out"}
    again = {"out": "/mnt/ws/project/out", "at": "2026-11-21T08:01:09", "steps": [1, 2.0, 3], "loss": 0.25}
    other = {**summary, "loss": 0.26}
    # As Hydra saves it beside a job's output, and MLflow beside a run.
    hydra = "hydra:\n  run:\n    dir: outputs/2026-01-02/10-30-00\n  runtime:\n    cwd: /srv/project\nlr: 0.1\n"
    hydra_again = hydra.replace("2026-01-02/10-30-00", "2026-11-21/08-01-09").replace("/srv", "/mnt/ws")
    meta = "end_time: 1767349800123\nlifecycle_stage: active\nartifact_uri: file:///srv/project/mlruns/0/a\n"
    meta_again = meta.replace("1767349800123", "1795248069000").replace("/srv/", "/mnt/ws/")
    return [
        ("summary.json", json.dumps(summary), json.dumps(again, indent=2), "equivalent"),
        ("summary.json", json.dumps(summary), json.dumps(other), "different"),
        ("summary.json", json.dumps(summary), json.dumps({**summary, "more": 1}), "different"),
        ("flag.json", '{"done": true}', '{"done": 1}', "different"),
        ("steps.jsonl", '{"a": 1, "b": 2}\n{"a": 2}\n', '{"b": 2, "a": 1}\n{"a": 2.0}\n', "equivalent"),
        ("steps.jsonl", '{"a": 1}\n{"a": 2}\n', '{"a": 1}\n{"a": 3}\n', "different"),
        ("steps.json", '{"a": 1}\n{"a": 2}\n', '{"a": 1}\n{"a":2}\n', "equivalent"),
        ("hydra.yaml", hydra, hydra_again, "equivalent"),
        ("hydra.yaml", hydra, hydra_again.replace("lr: 0.1", "lr: 0.2"), "different"),
        ("meta.yaml", meta, meta_again, "equivalent"),
        ("config.yaml", "a: !one 1\n", "a: !two 1\n", "different"),
        ("two.yaml", "a: 1\n---\nb: 2026-01-02\n", "a: 1\n---\nb: 2026-11-21\n", "equivalent"),
        ("run.toml", 'lr = 0.1\nname = "x"\n', 'name = "x"\nlr = 1e-1 # the same\n', "equivalent"),
        ("run.toml", "lr = 0.1\n", "lr = 0.2\n", "different"),
    ]


def tables() -> list[tuple[str, Any, Any, str]]:
    rows = "step,loss,name\n1,0.5,a\n2,0.25,b\n"
    return [
        ("metrics.csv", rows, 'step,loss,name\r\n1,0.50,"a"\r\n2,2.5e-1,b', "equivalent"),
        ("metrics.csv", rows, rows.replace("0.25", "0.26"), "different"),
        ("metrics.csv", rows, "step,loss,name\n2,0.25,b\n1,0.5,a\n", "different"),
        ("metrics.csv", rows, rows + "3,0.1,c\n", "different"),
        ("metrics.csv", rows, rows.replace(",", ";"), "different"),
        ("times.tsv", "timestamp\tloss\n1767349800.5\t0.5\n", "timestamp\tloss\n1795248069\t0.5\n", "equivalent"),
        ("times.tsv", "count\tloss\n1767349800\t0.5\n", "count\tloss\n1795248069\t0.5\n", "different"),
        ("ids.csv", "id,x\n007,1\n", "id,x\n7,1\n", "different"),
    ]


def notebook(text: str, count: int = 1, day: int = 1, source: str = "train()", image: bytes | None = None) -> str:
    from base64 import b64encode

    outputs: list[dict[str, Any]] = [{"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}]
    if image is not None:
        data = {"image/png": b64encode(image).decode(), "text/plain": ["<Figure size 640x480 with 1 Axes>"]}
        outputs.append({"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}})
    at = f"2026-01-0{day}T10:30:00.123456"
    cell = {
        "cell_type": "code", "id": f"cell{count}", "execution_count": count, "source": [source], "outputs": outputs,
        "metadata": {"papermill": {"duration": day / 7, "start_time": at}, "execution": {"iopub.status.busy": at}},
    }  # fmt: skip
    about = {"papermill": {"duration": day, "end_time": at, "input_path": f"{day}.ipynb", "parameters": {"lr": 0.1}}}
    return json.dumps({"cells": [cell], "metadata": about, "nbformat": 4, "nbformat_minor": 5})


def picture(text: str, value: int = 7) -> bytes:
    """A small PNG with a text in it that says nothing of its pixels."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Creation Time", text)
    made = io.BytesIO()
    Image.new("L", (4, 4), value).save(made, "PNG", pnginfo=info)
    return made.getvalue()


def notebooks() -> list[tuple[str, Any, Any, str]]:
    return [
        ("run.ipynb", notebook("loss 0.5\n"), notebook("loss 0.5\n", 9, 2), "equivalent"),
        ("run.ipynb", notebook("at 2026-01-02 10:30:00\n"), notebook("at 2026-11-21 08:01:09\n"), "equivalent"),
        ("run.ipynb", notebook("x", image=picture("a")), notebook("x", 2, image=picture("b")), "equivalent"),
        ("run.ipynb", notebook("x", image=picture("a")), notebook("x", 2, image=picture("a", 8)), "different"),
        ("run.ipynb", notebook("loss 0.5\n"), notebook("loss 0.6\n"), "different"),
        ("run.ipynb", notebook("x"), notebook("x", source="test()"), "different"),
    ]


@cache
def plot(height: float, salt: str) -> bytes:
    """A plot as matplotlib saves it: with the time, and with ids from a salt that it draws."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": salt}):
        made = io.BytesIO()
        pyplot.plot([1, 2, height], marker="o")
        pyplot.savefig(
            made, format="svg", metadata={"Date": "2026-01-02T10:30:01" if salt == "a" else "2026-11-21T08:01:02"}
        )
        pyplot.close()
    return made.getvalue()


def markup() -> list[tuple[str, Any, Any, str]]:
    ids = '<svg><g id="p1a2b3c4d5e"/><use href="#p1a2b3c4d5e" x="1"/><use href="#b"/></svg>'
    return [
        ("plot.svg", plot(3, "a"), plot(3, "bc"), "equivalent"),
        ("plot.svg", plot(3, "a"), plot(4, "bc"), "different"),
        ("ids.svg", ids, ids.replace("p1a2b3c4d5e", "pffffffff01"), "equivalent"),
        ("ids.svg", ids, ids.replace("#p1a2b3c4d5e", "#pffffffff01"), "different"),
        ("data.xml", "<a x='1' y='2'>z</a>", '<?xml version="1.0"?>\n<a y="2" x="1">z</a>', "equivalent"),
        ("data.xml", "<a><b/>1</a>", "<a>1<b/></a>", "different"),
    ]


def message(number: int, kind: int, value: Any) -> bytes:
    """A field of protobuf: kind 0 a small number, 1 a double, 2 bytes, 5 a float."""
    packed = {0: lambda: bytes([value]), 1: lambda: struct.pack("<d", value), 5: lambda: struct.pack("<f", value)}
    return bytes([number << 3 | kind]) + (bytes([len(value)]) + value if kind == 2 else packed[kind]())


def record(event: bytes) -> bytes:
    head = struct.pack("<Q", len(event))
    return head + struct.pack("<I", masked(head)) + event + struct.pack("<I", masked(event))


def scalar(tag: str, step: int, value: float, at: float) -> bytes:
    inner = message(1, 2, tag.encode()) + message(2, 5, value)
    return record(message(1, 1, at) + message(2, 0, step) + message(5, 2, message(1, 2, inner)))


def session(at: float, status: int = 1) -> bytes:
    """How hyperparameters note the end of a session."""
    content = message(4, 2, message(1, 0, status) + message(2, 1, at))
    plugin = message(1, 2, b"hparams") + message(2, 2, content)
    inner = message(1, 2, b"_hparams_/session_end_info") + message(9, 2, message(1, 2, plugin))
    return record(message(1, 1, at) + message(5, 2, message(1, 2, inner)))


def histogram(at: float, data: bytes) -> bytes:
    inner = message(1, 2, b"weights") + message(5, 2, data)
    return record(message(1, 1, at) + message(5, 2, message(1, 2, inner)))


def event_files() -> list[tuple[str, Any, Any, str]]:
    name = "events.out.tfevents.1767349800.alpha.4711.0"
    begin = [record(message(1, 1, at) + message(3, 2, b"brain.Event:2")) for at in (1.5, 2.5)]
    points = [[scalar(tag, step, 1 / (step + 1), at) for step in range(3) for tag in ("a", "b")] for at in (1.5, 2.5)]
    one, two = (first + b"".join(rest) for first, rest in zip(begin, points))
    by_tag = begin[1] + b"".join(points[1][0::2] + points[1][1::2])
    return [
        (name, one, two, "equivalent"),
        (name, one, by_tag, "equivalent"),
        (name, one, two + scalar("a", 3, 0.1, 2.5), "different"),
        (name, one, begin[1] + b"".join(points[1][:-1]) + scalar("b", 2, 0.34, 2.5), "different"),
        (name, one + session(1.5), two + session(2.5), "equivalent"),
        (name, one + session(1.5), two + session(2.5, 2), "different"),
        (name, one + histogram(1.5, b"12"), two + histogram(2.5, b"12"), "equivalent"),
        (name, one + histogram(1.5, b"12"), two + histogram(2.5, b"13"), "different"),
    ]
