"""Fit a line, with settings composed by Hydra; results go to the directory that Hydra makes for the run."""

import json
import logging
import random
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig

log = logging.getLogger(__name__)


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    chance = random.Random(config.seed)
    points = [tuple(map(float, line.split(","))) for line in Path(config.data).read_text().splitlines()]
    slope = chance.random() / config.model.width
    for epoch in range(config.epochs):
        slope -= config.lr * sum((slope * x - y) * x for x, y in points) / sum(x * x for x, _ in points)
        log.info("epoch %d: slope %.6f", epoch, slope)
    out = Path(HydraConfig.get().runtime.output_dir)
    (out / "metrics.json").write_text(json.dumps({"slope": slope}))
    (out / "model.json").write_text(json.dumps({"slope": slope, "width": config.model.width}))


if __name__ == "__main__":
    main()
