from __future__ import annotations

import json
import math

from hypothesis import given

from mltrack.digest import plain
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import CodeState, Run
from mltrack.views.json import dumps, run_json
from tests.compare.samples import artifact, metric, sample_run
from tests.compare.strategies import quick, runs

PROMISED = [
    "schema", "id", "name", "experiment", "status", "command", "cwd", "exit_code", "signal", "seed", "created_at",
    "started_at", "finished_at", "duration_s", "user", "host", "why", "tags", "notes", "fingerprint", "code",
    "environment", "hardware", "params", "param_sources", "inputs", "artifacts", "metrics", "resources", "parent",
    "verdict", "warnings", "record_digest",
]  # fmt: skip
"""The fields that the machine interface promises, in their order; others may stand between them."""


def test_a_run_has_the_promised_fields_in_their_order() -> None:
    value = run_json(sample_run())
    assert [name for name in value if name in PROMISED] == PROMISED
    assert value["metrics"]["val_loss"] == {"last": 0.20113, "min": 0.2, "max": 1.3, "count": 10, "last_step": 9}
    assert value["code"]["left_out"] == [
        {"path": "data/huge.bin", "size_bytes": 3_400_000_000, "reason": "larger than 10 MiB"}
    ]
    assert value["parent"] is None


def test_a_list_of_runs_goes_without_packages_and_the_record_is_untouched() -> None:
    run = sample_run()
    value = run_json(run, with_packages=False)
    assert "packages" not in value["environment"]
    assert value["environment"]["python"] == "3.11.7"
    assert run_json(run)["environment"]["packages"] == dict(run.environment.packages)


def test_nan_and_infinities_are_named() -> None:
    value = json.loads(dumps(run_json(sample_run(metrics={"l": metric(math.nan)}, params={"x": -math.inf}))))
    assert value["metrics"]["l"]["last"] == "NaN"
    assert value["params"]["x"] == "-Infinity"


def test_a_path_that_is_not_utf8_has_its_bytes_beside_it() -> None:
    value = json.loads(dumps(run_json(sample_run(artifacts=(artifact("caf\udce9.txt"),), code=CodeState()))))
    assert value["artifacts"][0]["path"].replace("\ufffd", "") == "caf.txt"
    assert value["artifacts"][0]["path_b64"] == "Y2Fm6S50eHQ="


def test_json_is_indented_and_keeps_letters_unless_told_otherwise() -> None:
    assert dumps({"a": ["é"]}) == '{\n  "a": [\n    "é"\n  ]\n}'
    assert dumps("é", ascii_only=True) == '"\\u00e9"'


@quick
@given(runs)
def test_the_json_of_a_run_reads_back_as_the_same_run(run: Run) -> None:
    value = json.loads(dumps(run_json(run)))
    assert plain(to_dict(from_dict(Run, value))) == plain(to_dict(run))
