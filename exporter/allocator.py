"""How the C library keeps memory that Python has let go."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8
"""Numbers of glibc's options, from malloc.h."""
_LARGE = 1 << 16
"""Bytes."""


def return_memory_early() -> bool:
    """Let freed blocks of 64 KiB and more go back to the kernel at once; return whether the C library could be told.

    A node's text and page are tens of megabytes, held for a moment each cycle. glibc by itself keeps such blocks: each
    one freed raises the size from which the next is given back, and each thread fills a heap of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has nothing to set
        return False
    options = ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, 2 * _LARGE), (_MOST_ARENAS, 1))
    return all(mallopt(option, value) == 1 for option, value in options)
