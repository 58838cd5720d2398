import ctypes
import platform
import subprocess
import sys

import pytest

from exporter import allocator

_FREED = """
import sys, threading
from exporter.allocator import return_memory_early

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4 // 1024

def hold():
    for size in (20, 1):
        blocks = [b"x" * (size << 18) for _ in range(40 // size)]

if "early" in sys.argv:
    assert return_memory_early()
before = resident()
for _ in range(2):
    hold()
    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
print(resident() - before)
"""


def test_large_blocks_go_back_to_the_kernel_when_they_are_freed() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _FREED, "early"], capture_output=True, text=True, check=True, timeout=30
    )
    assert int(ran.stdout) <= 1


def test_a_c_library_without_the_setting_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not allocator.return_memory_early()


def test_glibc_takes_every_setting() -> None:
    ran = [sys.executable, "-c", "from exporter.allocator import return_memory_early as early; print(early())"]
    said = subprocess.run(ran, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    assert said == str(platform.libc_ver()[0] == "glibc")
