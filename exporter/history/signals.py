"""What is remembered of a container: the names, in the order of their columns."""

from typing import Final

RESOURCES: Final = ("cpu", "memory", "disk_io", "network_io", "file_descriptors", "threads")
"""Forecast. Units: cores, working-set bytes, bytes/s, bytes/s, descriptors, threads."""

SIGNALS: Final = (
    *RESOURCES,
    "processes",
    "disk_read",  # bytes/s
    "disk_write",  # bytes/s
    "network_receive",  # bytes/s
    "network_transmit",  # bytes/s
    "network_packets",  # packets/s, both directions
    "cpu_throttled",  # share of CFS periods throttled, 0–1
    "cpu_throttled_seconds",  # seconds of throttling per second, summed over CPUs
    "cpu_waiting",  # pressure, share of time some task waited, 0–1
    "memory_waiting",
    "io_waiting",
    "syscalls",  # calls/s, all kinds
    "thread_creations",  # per second
    "thread_exits",
    "file_opens",
    "connections",
    "instructions",  # per second; where cAdvisor reads hardware counters
    "cache_misses",  # per second, likewise
)
"""Remembered for the fine window; the first ones are the resources."""

LEVELS: Final = (0.5, 0.9, 0.99)
"""Quantiles that a forecast states."""

COLUMN: Final = {name: index for index, name in enumerate(SIGNALS)}
