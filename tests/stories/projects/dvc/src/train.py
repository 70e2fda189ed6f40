import json

values = dict(line.strip().split(": ") for line in open("params.yaml") if line.startswith("  "))
points = [tuple(map(float, line.split(","))) for line in open("data/train.csv")]
slope = 0.0
for _ in range(int(values["rounds"])):
    slope -= float(values["rate"]) * sum((slope * x - y) * x for x, y in points) / sum(x * x for x, _ in points)
with open("model.txt", "w") as file:
    file.write(f"{slope!r}\n")
with open("quality.json", "w") as file:
    json.dump({"slope": slope}, file)
