"""Classify scikit-learn's bundled handwritten digits. Nothing in here knows of mltrack.

    mltrack run --metrics metrics.json -- python train.py --C 0.5 --kernel rbf
"""

import argparse
import json

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

parser = argparse.ArgumentParser()
parser.add_argument("--C", type=float, default=1.0)
parser.add_argument("--kernel", default="rbf")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.5, random_state=args.seed)
model = SVC(C=args.C, kernel=args.kernel, gamma=0.001).fit(x_train, y_train)
predicted = model.predict(x_test)
accuracy = float((predicted == y_test).mean())
print(f"accuracy: {accuracy:.4f}")

with open("metrics.json", "w") as file:
    json.dump({"test": {"accuracy": accuracy, "errors": int((predicted != y_test).sum())}}, file)
np.save("support_vectors.npy", model.support_)
