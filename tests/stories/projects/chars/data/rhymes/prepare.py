"""Turn input.txt into two files of character numbers, and remember the alphabet."""

import json
import os
from array import array

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "input.txt")) as file:
    text = file.read()
alphabet = sorted(set(text))
numbers = array("H", [alphabet.index(sign) for sign in text])
cut = int(len(numbers) * 0.9)
for name, part in (("train.bin", numbers[:cut]), ("val.bin", numbers[cut:])):
    with open(os.path.join(here, name), "wb") as file:
        part.tofile(file)
with open(os.path.join(here, "meta.json"), "w") as file:
    json.dump({"alphabet": alphabet}, file)
