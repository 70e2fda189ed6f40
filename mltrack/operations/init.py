"""`mltrack init`: a settings file to fill in. Not needed before a first run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.config import PROJECT_FILE

if TYPE_CHECKING:
    from mltrack.project import Project

TEMPLATE = """\
# Settings of mltrack for this project. All of them may be left out; commit this file.
#
# inputs: [data/]                            # files, directories, globs that every run reads
# inputs.whole_directories: true             # of a directory of which many files are read, keep the others too
# outputs: [models/*.pt]                     # what it writes, also where git ignores it
# params: [params.yaml, "conf/train.toml:optimizer,seed"]
# metrics: [metrics.json, {stdout: "{name}: {value}"}]
# frameworks: [hydra, results]               # whose files tell params and metrics undeclared; off for none
# environment: {kind: auto}                  # or python, conda, docker, r, julia, system
# environment: {lock: true, options: {}}     # ask package indexes for hashes; options of a plug-in's kind
# environment: {wheels: true, images: true}  # every push carries them, as push --wheels --images does
# environment: {image: "python:3.11", mounts: ["/data:/data:ro"], env: {OMP_NUM_THREADS: 4}, gpus: all, shm: 8GiB}
# environment: {build: ./Dockerfile, at: /code, user: caller, network: none}     # in a container that is built
# observe: {include: [~/.cache/mine], exclude: [scratch/]}  # paths that are data, or none, whatever the rules say
# observe: {sources: [library, hook], artifact_limit: 20GiB}     # what watches a run (off: nothing)
# data: {keep_limit: 2GiB}                   # inputs above it: only their digests
# code: {untracked_limit: 10MiB, untracked_total: 100MiB}
# log: {limit: 64MiB}                        # the output that is kept of one run
# verdict: {tolerance: {loss: {rel: 0.001}, acc: {abs: 0.005}}, ignore: ["*_time", "logs/*"], compare_limit: 1GiB}
# goals: {val_loss: min, "*_score": max, grad_norm: none}  # which values of a metric are better, where its name lies
# remotes: {origin: /mnt/share/project}      # no credentials here, ever
"""


def init(project: Project) -> Path | None:
    """Write a `mltrack.yaml` of comments, unless there is one; returns its path, or None."""
    path = project.root / PROJECT_FILE
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        return None
    return path
