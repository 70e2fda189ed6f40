"""Random runs: the sample with some of its parts replaced by random ones from a small pool, so that runs agree."""

from __future__ import annotations

import math
import os

from hypothesis import settings
from hypothesis import strategies as st

from mltrack.records import CodeState, Environment, Gpu, Hardware, LeftOut, MetricSummary, NestedCode
from tests.compare.samples import artifact, input_file, sample_run

quick = settings(max_examples=100 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
few = settings(max_examples=30 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
"""For what is made of whole runs, which take long to make up."""

words = st.sampled_from(["a", "b", "ü", "x\udcff", "data/é.csv", "\x1b[31m", "emoji 🚀", ""])
letters = st.sampled_from("abc")
numbers = st.one_of(
    st.sampled_from([0, 1, 1.0, -1, 0.1, math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, -0.0]),
    st.floats(),
    st.integers(),
)
points = st.one_of(numbers, st.sampled_from(["NaN", "Infinity", "-Infinity"]))
scalars = st.one_of(numbers, words, st.booleans(), st.none())
params = st.dictionaries(words, st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=4)
summaries = st.builds(MetricSummary, points, points, points, st.integers(1, 3), st.none() | st.integers(0, 3))
files = st.lists(letters, max_size=3, unique=True)
inputs = files.flatmap(
    lambda names: st.tuples(
        *(
            st.builds(
                lambda letter, more, name=name: input_file(name, letter, **more),
                letters,
                st.sampled_from([{}, {"digest": None}]),
            )
            for name in names
        )
    )
)
artifacts = files.flatmap(lambda names: st.tuples(*(st.builds(artifact, st.just(name), letters) for name in names)))
trees = st.builds(
    CodeState, commit=letters, dirty=st.booleans(), tree=letters, raw=st.none() | letters, branch=letters,
    left_out=st.lists(st.builds(LeftOut, letters, st.just(5), st.just("too large")), max_size=1).map(tuple),
)  # fmt: skip
codes = st.builds(
    lambda code, nested: CodeState(**{**code.__dict__, "nested": nested}),
    trees,
    st.lists(st.builds(NestedCode, letters, trees), max_size=2, unique_by=lambda item: item.path).map(tuple),
)
environments = st.builds(
    Environment,
    digest=letters,
    python=st.none() | letters,
    packages=st.dictionaries(letters, letters),
    variables=st.dictionaries(st.sampled_from(["OMP_NUM_THREADS", "SLURM_JOB_ID"]), letters),
)
machines = st.builds(
    Hardware, cpu=letters, cores=st.integers(1, 2), gpus=st.lists(st.builds(Gpu, letters), max_size=2).map(tuple)
)
runs = st.builds(
    lambda number, **changes: sample_run(id=f"{number:016d}", **changes),
    st.integers(0, 5),
    params=params,
    metrics=st.dictionaries(words, summaries, max_size=3),
    inputs=inputs,
    artifacts=artifacts,
    code=codes,
    environment=environments,
    hardware=machines,
    command=st.lists(words, min_size=1, max_size=3).map(tuple),
    status=st.sampled_from(["finished", "failed", "lost"]),
    exit_code=st.none() | st.integers(0, 1),
    name=st.none() | words,
    duration_s=st.none() | st.floats(0, 1e9),
)
