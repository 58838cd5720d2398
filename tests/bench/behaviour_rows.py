"""What a part of the behaviour bench measures: one row for each figure, with its bar and its peers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One figure of ours beside the bar and what peers reach in the same run."""

    what: str
    ours: float
    bar: float
    at_least: bool
    """The bar is a floor; else a ceiling."""
    unit: str = ""
    peers: dict[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether ours reaches the bar."""
        return self.ours >= self.bar if self.at_least else self.ours <= self.bar
