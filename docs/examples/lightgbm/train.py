"""Gradient boosting on a CSV, with a YAML file of parameters and a JSON file of metrics.

    mltrack run --params params.yaml --metrics metrics.json --input data/iris.csv -- python train.py
"""

import csv
import json

import lightgbm as lgb
import numpy as np
import yaml

with open("params.yaml") as file:
    params = yaml.safe_load(file)

with open("data/iris.csv") as file:
    rows = list(csv.DictReader(file))
species = sorted({row["species"] for row in rows})
x = np.array([[float(value) for key, value in row.items() if key != "species"] for row in rows])
y = np.array([species.index(row["species"]) for row in rows])
order = np.random.default_rng(params["seed"]).permutation(len(x))
train, test = order[:100], order[100:]

booster = lgb.train(
    {
        "objective": "multiclass",
        "num_class": len(species),
        "deterministic": True,
        "num_threads": 1,
        "seed": params["seed"],
        "verbose": -1,
        **params["model"],
    },
    lgb.Dataset(x[train], y[train]),
    num_boost_round=params["rounds"],
)
accuracy = float((booster.predict(x[test]).argmax(1) == y[test]).mean())
print(f"accuracy: {accuracy:.4f}")
with open("metrics.json", "w") as file:
    json.dump({"accuracy": accuracy, "trees": booster.num_trees()}, file)
booster.save_model("model.txt")
