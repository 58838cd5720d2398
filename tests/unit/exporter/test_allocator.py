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

def hold(pinned):
    bytes(4 << 20)
    blocks = [b"x" * (size << 10) for _ in range(8) for size in (100, 300, 900)]
    pinned.append(b"y" * 2000)
    together.wait()
    together.wait()
    del blocks
    together.wait()
    done.wait()

if "early" in sys.argv:
    assert return_memory_early()
together, done, pinned = threading.Barrier(5), threading.Event(), []
before = resident()
threads = [threading.Thread(target=hold, args=(pinned,)) for _ in range(4)]
for thread in threads:
    thread.start()
together.wait()
held = resident() - before
together.wait()
together.wait()
kept = resident() - before
done.set()
for thread in threads:
    thread.join()
print(held, kept)
"""


@pytest.mark.parametrize(("setting", "least", "most"), [("early", 0, 4), ("as it is", 15, 60)])
def test_blocks_of_threads_that_live_on_go_back_to_the_kernel_with_the_setting_and_not_without(
    setting: str, least: int, most: int
) -> None:
    command = [sys.executable, "-c", _FREED, setting]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    held, kept = map(int, ran.stdout.split())
    assert held > 35
    assert least <= kept <= most


def test_a_c_library_without_the_setting_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not allocator.return_memory_early()


def test_glibc_takes_every_setting() -> None:
    ran = [sys.executable, "-c", "from exporter.allocator import return_memory_early as early; print(early())"]
    said = subprocess.run(ran, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    assert said == str(platform.libc_ver()[0] == "glibc")
