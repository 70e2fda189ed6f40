"""Train an agent of the zoo: hyperparameters from hyperparams/ALGO.yml, results to logs/ALGO/ENV_N, N counting up."""

import argparse
import csv
import os
import pickle
import random
import time

from envs import WORLDS

parser = argparse.ArgumentParser()
parser.add_argument("--algo", default="q")
parser.add_argument("--env", default="Corridor-v0")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--log-folder", default="logs")
parser.add_argument("-conf", "--conf-file")
args = parser.parse_args()

values = {}
with open(args.conf_file or os.path.join("hyperparams", f"{args.algo}.yml")) as file:
    section = None
    for line in file:
        name, _, value = line.strip().partition(":")
        if not line.startswith(" "):
            section = name
        elif section == args.env:
            values[name] = float(value)

top = os.path.join(args.log_folder, args.algo)
os.makedirs(top, exist_ok=True)
numbers = [int(name.rpartition("_")[2]) for name in os.listdir(top) if name.startswith(f"{args.env}_")]
folder = os.path.join(top, f"{args.env}_{max(numbers, default=0) + 1}")
os.makedirs(folder)
print(f"Log path: {folder}")

chance = random.Random(args.seed)
world = WORLDS[args.env]()
table = [[0.0, 0.0] for _ in range(world.length + 1)]
best = float("-inf")
with open(os.path.join(folder, "progress.csv"), "w", newline="") as file:
    progress = csv.writer(file)
    progress.writerow(["rollout/ep_rew_mean", "time/total_timesteps"])
    steps = 0
    for episode in range(int(values["n_episodes"])):
        state, total, done = world.reset(), 0.0, False
        for _ in range(200):
            greedy = chance.random() > values["epsilon"]
            right = int(table[state][1] >= table[state][0]) if greedy else chance.randrange(2)
            after, reward, done = world.step(right)
            goal = reward + values["gamma"] * max(table[after]) * (not done)
            table[state][right] += values["alpha"] * (goal - table[state][right])
            state, total, steps = after, total + reward, steps + 1
            if done:
                break
        if episode % 10 == 9:
            progress.writerow([f"{total:.4f}", steps])
        if total > best:
            best = total
            with open(os.path.join(folder, "best_model.pkl"), "wb") as model:
                pickle.dump(table, model)
with open(os.path.join(folder, "monitor.csv"), "w") as file:
    file.write("#" + time.strftime("%Y-%m-%d") + "\nr,l\n")
