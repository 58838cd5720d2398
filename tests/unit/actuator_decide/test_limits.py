from typing import Any

import pytest
from pydantic import ValidationError

from actuator.decide import Limits


def test_durations_are_read_as_people_write_them() -> None:
    limits = Limits.model_validate({"cooldown": "30s", "throttle_ttl": "1h", "lead_time": 5})
    assert (limits.cooldown, limits.throttle_ttl, limits.lead_time) == (30.0, 3600.0, 5.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cooldwon": "30s"},
        {"cooldown": "soon"},
        {"raise_multiple": 0.9},
        {"host_headroom": 1.0},
        {"throttle_step": 1.0},
        {"throttle_floor": 0.0},
        {"memory_floor": 0.99},
        {"actions_per_hour": -1},
    ],
)
def test_a_wrong_bound_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(wrong)


def test_every_bound_is_explained() -> None:
    assert all(field.description for field in Limits.model_fields.values())
