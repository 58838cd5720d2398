"""When two limits are the same: one rule for execution, recovery, the ledger and undoing."""

_CORES = 0.002  # a quota is whole microseconds of a period, and a --cpus limit is cut down to such a one
_BYTES = 65_536.0  # one page, of the largest page size in use


def same_limit(resource: str, one: float | None, other: float | None) -> bool:
    """Tell whether two limits, in cores or bytes, are equal but for the kernel's rounding; None is no limit."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= (_CORES if resource == "cpu" else _BYTES)
