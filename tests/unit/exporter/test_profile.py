import dataclasses
import json
from collections.abc import Callable

import jsonschema
import numpy as np
import pytest

from exporter.config import Config
from exporter.cycle import Cycle
from exporter.document import Profile
from exporter.history.signals import LEVELS, RESOURCES
from exporter.profile import build_profile
from exporter.publish.docs import profile_schema
from exporter.state import State

FullState = Callable[..., tuple[Cycle, State]]
NOW = 1_800_000_045.0
KEYS = {
    "name": str,
    "container_id": str,
    "runtime_metrics": dict,
    "predicted_metrics": dict,
    "interference_potential": dict,
    "security_risk_score": float,
    "policy_violations": list,
}


def _profile(full_state: FullState, window: float = 3600.0, calls: int = 4) -> Profile:
    cycle, state = full_state(("web", "db"), calls=calls)
    return build_profile(0, state, cycle.history, Config(), window)


def test_the_document_has_every_key_of_the_specification_and_fits_its_schema(full_state: FullState) -> None:
    document = json.loads(_profile(full_state).model_dump_json())
    jsonschema.validate(document, json.loads(profile_schema()), cls=jsonschema.Draft202012Validator)
    for key, kind in KEYS.items():
        assert isinstance(document[key], kind)
    assert {"cpu_usage", "memory_usage", "network_io", "disk_io", "process_count", "api_call_frequency"} <= set(
        document["runtime_metrics"]
    )
    assert {"cpu_usage", "memory_usage"} <= set(document["predicted_metrics"])
    assert set(document["interference_potential"]) == {"cpu_bursts", "memory_leaks", "network_flooding"}


@pytest.mark.parametrize(
    ("change", "place"),
    [({"security_risk_score": 1.5}, "security_risk_score"), ({"surprise": 1}, "surprise"), ({"name": 5}, "name")],
)
def test_the_schema_refuses_what_is_no_profile(full_state: FullState, change: dict[str, object], place: str) -> None:
    document = json.loads(_profile(full_state).model_dump_json()) | change
    with pytest.raises(jsonschema.ValidationError, match=place):
        jsonschema.validate(document, json.loads(profile_schema()), cls=jsonschema.Draft202012Validator)


def test_series_are_what_was_seen_oldest_first_with_directions_summed(full_state: FullState) -> None:
    seen = _profile(full_state).runtime_metrics
    assert [(point.timestamp, point.value) for point in seen.cpu_usage] == [
        (NOW - 30, 0.5),
        (NOW - 15, 0.5),
        (NOW, 0.5),
    ]
    assert [point.value for point in seen.memory_usage] == [2.0**27] * 4
    assert {point.value for point in seen.network_io} == {300.0}
    assert {point.value for point in seen.disk_io} == {30.0}
    assert {point.value for point in seen.process_count} == {2.0}
    calls = {name: series[-1].value for name, series in seen.api_call_frequency.items()}
    assert calls == {"call00": 1.0, "call01": 2.0, "call02": 3.0, "call03": 4.0}


@pytest.mark.parametrize(("window", "points"), [(15.0, 1), (30.0, 2), (1.0, 1), (86400.0, 4)])
def test_a_window_shows_no_more_than_it_spans(full_state: FullState, window: float, points: int) -> None:
    assert len(_profile(full_state, window).runtime_metrics.memory_usage) == points


def test_forecasts_are_nearest_first_with_their_quantiles_and_absent_where_unknown(full_state: FullState) -> None:
    cycle, state = full_state(("web",))
    quantiles = np.full((1, len(RESOURCES), 3, len(LEVELS)), np.nan, np.float32)
    quantiles[0, RESOURCES.index("cpu"), :2] = [[0.5, 1.0, 2.0], [0.75, 1.5, 3.0]]
    known = dataclasses.replace(state, quantiles=quantiles)
    predicted = build_profile(0, known, cycle.history, Config(), 3600.0).predicted_metrics
    assert [(point.horizon, point.timestamp, point.value) for point in predicted.cpu_usage] == [
        ("5m", NOW + 300, 0.5),
        ("15m", NOW + 900, 0.75),
    ]
    assert predicted.cpu_usage[0].quantiles == {"0.5": 0.5, "0.9": 1.0, "0.99": 2.0}
    assert predicted.memory_usage == []


def test_unknown_scores_count_as_no_risk(full_state: FullState) -> None:
    cycle, state = full_state(("web",))
    scores = dataclasses.replace(state.scores, security_risk=np.array([np.nan], np.float32))
    profile = build_profile(0, dataclasses.replace(state, scores=scores), cycle.history, Config(), 60.0)
    assert profile.security_risk_score == 0.0
