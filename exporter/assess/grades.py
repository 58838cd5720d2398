"""How much a call that was never made before says, by its name."""

from functools import lru_cache
from typing import Final

import numpy as np

from exporter.assess.robust import Numbers
from exporter.history.windows import Bools

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
    0.0: "arch_prctl brk clock_getres clock_gettime clock_nanosleep close epoll_pwait epoll_wait exit exit_group fstat "
    "futex getcpu getpid getrandom gettimeofday lseek madvise membarrier mmap mprotect mremap munmap nanosleep poll "
    "ppoll pselect6 read restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield "
    "select set_robust_list set_tid_address sigaltstack tgkill time times write",
}
"""Weight of one unknown call. .9: enough alone for the shipped threshold of .8; 0: what a program
does to its own memory, threads, clocks and open files."""
_WEIGHTS: Final = {name: weight for weight, names in _GRADES.items() for name in names.split()}
ORDINARY = 0.08
"""Weight of all other calls."""
_FAMILIES: Final = {
    "identity": "setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid capset",
    "network": "connect socket",
    "server": "accept accept4 bind listen",
    "streams": "dup2 dup3",
    "birth": "fork vfork",
    "rights": "chmod chown fchmod fchmodat fchown fchownat lchown",
    "links": "link linkat symlink symlinkat",
}
"""Calls that come together by their nature: one piece of evidence, as strong as the strongest of them."""
BIRTH: Final = ("clone", "clone3", "set_robust_list")
"""Calls that tell of a new thread or process."""
_GIVE_UP: Final = ("setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid")
_BORN_WITH: Final = frozenset({*BIRTH, *_GIVE_UP, "gettid", "prctl", "sched_setaffinity", "setpriority"})
"""Calls that say nothing in a step in which one was born: a pool of threads that grows makes them, and workers that a
server starts anew after a reload give up their rights."""


@lru_cache(maxsize=4)
def weights(names: tuple[str, ...]) -> Numbers:
    """Return [calls], the weight of each as an unknown one."""
    return np.array([_WEIGHTS.get(name, ORDINARY) for name in names])


@lru_cache(maxsize=4)
def families(names: tuple[str, ...]) -> dict[str, Bools]:
    """Return [calls] by family: which are members."""
    return {
        family: np.array([name in members.split() for name in names], np.bool_) for family, members in _FAMILIES.items()
    }


@lru_cache(maxsize=4)
def births(names: tuple[str, ...]) -> tuple[Bools, Bools]:
    """Return [calls] twice: which tell of a birth, and which come with one."""
    return np.array([name in BIRTH for name in names], np.bool_), np.array(
        [name in _BORN_WITH for name in names], np.bool_
    )
