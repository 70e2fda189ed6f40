"""Boosted stumps: `boost.py config=train.conf key=value ...`; what stands on the command line wins."""

import csv
import sys

given = dict(word.split("=", 1) for word in sys.argv[1:])
settings = {}
with open(given.pop("config")) as file:
    for line in file:
        name, equals, value = line.partition("#")[0].partition("=")
        if equals:
            settings[name.strip()] = value.strip()
settings.update(given)


def table(path):
    with open(path, newline="") as file:
        rows = [[float(cell) for cell in row] for row in csv.reader(file)]
    return [row[1:] for row in rows], [row[0] for row in rows]


def value_of(stump, row):
    column, cut, low, high = stump
    return low if row[column] <= cut else high


def best_stump(rows, rest):
    found = None
    for column in range(len(rows[0])):
        for cut in sorted({row[column] for row in rows})[:-1]:
            low = [r for row, r in zip(rows, rest) if row[column] <= cut]
            high = [r for row, r in zip(rows, rest) if row[column] > cut]
            means = sum(low) / len(low), sum(high) / len(high)
            error = sum((r - means[0]) ** 2 for r in low) + sum((r - means[1]) ** 2 for r in high)
            if found is None or error < found[0]:
                found = error, (column, cut, *means)
    return found[1]


rate = float(settings["learning_rate"])
rows, targets = table(settings["data"])
valid_rows, valid_targets = table(settings["valid"])
guess, valid_guess, lines = [0.0] * len(rows), [0.0] * len(valid_rows), []
for tree in range(int(settings["num_trees"])):
    stump = best_stump(rows, [target - value for target, value in zip(targets, guess)])
    guess = [value + rate * value_of(stump, row) for value, row in zip(guess, rows)]
    valid_guess = [value + rate * value_of(stump, row) for value, row in zip(valid_guess, valid_rows)]
    error = sum((a - b) ** 2 for a, b in zip(valid_guess, valid_targets)) / len(valid_targets)
    lines.append(" ".join(map(repr, stump)))
    print(f"[{tree + 1}] valid l2: {error:.6f}")
with open(settings["output_model"], "w") as file:
    file.write("\n".join(lines) + "\n")
with open("results.json", "w") as file:
    file.write('{"valid": {"l2": %.9f}}\n' % error)
