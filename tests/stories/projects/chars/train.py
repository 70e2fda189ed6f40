"""A bigram model of characters. The names below are its settings: a file of config/ or --name=value changes them."""

import json
import math
import mmap
import os
import random
import sys
from array import array
from ast import literal_eval

out_dir = "out"
dataset = "rhymes"
seed = 7
smoothing = 1.0
batch_size = 16
max_steps = 2000
eval_every = 100

settings = [name for name, value in globals().items() if isinstance(value, (int, float, str)) and name[0] != "_"]
for word in sys.argv[1:]:
    if word.startswith("--"):
        name, value = word[2:].split("=", 1)
        assert name in settings, name
        globals()[name] = literal_eval(value) if value[:1].isdigit() else value
    else:
        with open(word) as file:
            exec(file.read())


def numbers_of(name):
    with open(os.path.join("data", dataset, name), "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return array("H", content[:])


with open(os.path.join("data", dataset, "meta.json")) as file:
    size = len(json.load(file)["alphabet"])
train, val = numbers_of("train.bin"), numbers_of("val.bin")
counts = [[smoothing] * size for _ in range(size)]
chance = random.Random(seed)


def loss():
    pairs = list(zip(val, val[1:]))
    return -sum(math.log(counts[a][b] / sum(counts[a])) for a, b in pairs) / len(pairs)


os.makedirs(out_dir, exist_ok=True)
with open(os.path.join(out_dir, "progress.csv"), "w") as progress:
    progress.write("step,val_loss\n")
    for step in range(max_steps + 1):
        if step % eval_every == 0:
            progress.write(f"{step},{loss():.6f}\n")
            with open(os.path.join(out_dir, "ckpt.json"), "w") as file:
                json.dump({"step": step, "counts": counts}, file)
        for _ in range(batch_size):
            at = chance.randrange(len(train) - 1)
            counts[train[at]][train[at + 1]] += 1
