import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.history.columns import Columns

SIGNALS = 2
LENGTH = 5


class Model(RuleBasedStateMachine):
    """The ring against a list of lists."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Columns(SIGNALS, LENGTH, rows=1)
        self.rows = [self._empty()]
        self.written = 0.0

    @staticmethod
    def _empty() -> list[list[float]]:
        return [[np.nan] * SIGNALS for _ in range(LENGTH)]

    @rule(columns=st.integers(1, 12))
    def advance(self, columns: int) -> None:
        self.ring.advance(columns)
        for row in self.rows:
            row.extend([np.nan] * SIGNALS for _ in range(columns))
            del row[:-LENGTH]

    @rule()
    def write(self) -> None:
        self.written += 1
        values = np.arange(len(self.rows) * SIGNALS, dtype=float).reshape(-1, SIGNALS) + 1000 * self.written
        self.ring.write(values)
        for row, new in zip(self.rows, values.tolist(), strict=True):
            row[-1] = new

    @rule(more=st.integers(1, 3))
    def grow(self, more: int) -> None:
        self.rows.extend(self._empty() for _ in range(more))
        self.ring.grow(len(self.rows))

    @precondition(lambda self: len(self.rows) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        row, last = data.draw(st.integers(0, len(self.rows) - 1)), len(self.rows) - 1
        self.ring.remove(row, last)
        self.rows[row] = self.rows[last]
        del self.rows[last]

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        which = np.zeros((len(self.rows), SIGNALS), np.bool_)
        which[data.draw(st.integers(0, len(self.rows) - 1)), 1] = True
        self.ring.forget(which)
        for row, column in np.argwhere(which).tolist():
            for values in self.rows[row]:
                values[column] = np.nan

    @invariant()
    def view_equals_the_list(self) -> None:
        expected = np.array(self.rows, np.float32).transpose(0, 2, 1)
        np.testing.assert_array_equal(self.ring.view(len(self.rows)), expected)


TestTheRingEqualsAListOfLists = Model.TestCase
TestTheRingEqualsAListOfLists.settings = settings(deadline=None, max_examples=30, stateful_step_count=30)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40))
def test_a_view_is_as_long_as_the_window_however_often_it_was_written(columns: int) -> None:
    ring = Columns(1, 7)
    for column in range(columns):
        ring.advance()
        ring.write(np.full((3, 1), float(column)))
    expected = np.arange(columns - 7, columns, dtype=np.float32)
    expected[expected < 0] = np.nan
    np.testing.assert_array_equal(ring.view(3)[2, 0], expected)
