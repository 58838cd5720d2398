"""Security risk: calls a workload never made while it was learned, weighted by what they let an intruder do."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.assess.behaviour import Conduct
from exporter.assess.robust import Numbers, ramp
from exporter.assess.slots import Slots, fitted
from exporter.history.windows import Bools, Window
from exporter.persist.arrays import Arrays, fitting, under, within

_GRADES: Final = {
    0.95: "bpf create_module delete_module finit_module init_module ioperm iopl kexec_file_load kexec_load pivot_root "
    "process_vm_writev reboot swapoff swapon",
    0.9: "fsmount fsopen mount mount_setattr move_mount open_by_handle_at open_tree process_vm_readv ptrace setns "
    "umount umount2 unshare",
    0.7: "acct add_key adjtimex chroot clock_adjtime clock_settime execveat keyctl memfd_create mknod mknodat "
    "perf_event_open quotactl request_key sethostname setdomainname settimeofday syslog userfaultfd vhangup",
    0.6: "capset execve setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid",
    0.3: "accept accept4 bind chmod chown connect dup2 dup3 fanotify_init fchmod fchmodat fchown fchownat fork "
    "kill lchown link linkat listen name_to_handle_at personality prctl setsid socket symlink symlinkat vfork "
    "io_uring_setup seccomp",
    0.0: "arch_prctl brk clock_gettime clock_nanosleep close exit exit_group fstat futex getcpu getpid getrandom "
    "gettid gettimeofday madvise membarrier mmap munmap nanosleep poll read restart_syscall rseq rt_sigaction "
    "rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list set_tid_address sigaltstack tgkill "
    "time times write",
}
"""Weight of one unknown call. .9: enough alone for the shipped threshold of .8; 0: noise of threads and memory."""
_WEIGHTS: Final = {name: weight for weight, names in _GRADES.items() for name in names.split()}
ORDINARY = 0.08
"""Weight of all other calls."""
MOST_ORDINARY = 0.5
"""What all ordinary calls together may reach: a new release calls many new things, none of them dangerous."""
HOLD, FADE = 180.0, 420.0
"""Seconds for which evidence counts in full, then fades."""
MOST_LIVES = 2048


class Security:
    """Evidence by container, held for some minutes since an intruder's call may last a millisecond."""

    def __init__(self) -> None:
        self._slots = Slots(MOST_LIVES)
        self._left: Numbers = np.zeros((64, 0), dtype=np.float32)
        self._weights: Numbers = np.zeros(0)

    def export(self) -> dict[str, NDArray[Any]]:
        """Return what is to be saved; its columns are the window's calls."""
        return under("slots", self._slots.export()) | {"left": self._left}

    def restore(self, arrays: Arrays) -> None:
        """Take back what was saved; raise MismatchError."""
        shape = arrays["left"].shape if "left" in arrays else self._left.shape
        self._left = fitting(arrays, "left", np.empty(shape[:2], np.float32))
        self._slots.restore(within("slots", arrays), len(self._left))

    def ordinary(self, names: tuple[str, ...]) -> Bools:
        """Return [calls], those that a finished profile may still take up."""
        if len(names) != self._weights.size:
            self._weights = np.array([_WEIGHTS.get(name, ORDINARY) for name in names])
        return self._weights <= ORDINARY

    def assess(self, window: Window, conduct: Conduct, elapsed: float) -> tuple[Numbers, Numbers]:
        """Return the risk [containers], and each call's part in it [containers, calls]."""
        ordinary = self.ordinary(window.syscall_names)
        rows, fresh = self._slots.place(window.lives)
        grown = fitted(self._left, int(rows.max(initial=-1)) + 1, len(window.syscall_names))
        self._left = np.asarray(grown, dtype=np.float32)
        self._left[fresh] = 0
        left = np.where(conduct.unknown, HOLD + FADE, np.maximum(self._left[rows] - elapsed, 0))
        self._left[rows] = left
        parts = self._weights * ramp(left, 0.0, FADE)
        safe = np.log1p(-parts)
        grave = 1 - np.exp(np.where(ordinary, 0, safe).sum(axis=1))
        small = np.minimum(1 - np.exp(np.where(ordinary, safe, 0).sum(axis=1)), MOST_ORDINARY)
        return 1 - (1 - grave) * (1 - small), parts
