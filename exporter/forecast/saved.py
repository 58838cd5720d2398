"""A state's arrays for saving, and back, whatever its fields are."""

from dataclasses import fields
from typing import Any

from numpy.typing import NDArray

from exporter.forecast.state import State
from exporter.persist.arrays import Arrays, fitting


def export_state(state: State) -> dict[str, NDArray[Any]]:
    """Return the state's own arrays by field."""
    return {field.name: getattr(state, field.name) for field in fields(state)}


def restored_state(arrays: Arrays, like: State, rows: int) -> State:
    """Return the saved state of ``rows`` containers; raise MismatchError unless each field is as in ``like``."""
    return State(**{name: fitting(arrays, name, array, rows) for name, array in export_state(like).items()})
