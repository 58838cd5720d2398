// Counts by cgroup id, for every cgroup of the machine; who is a container is decided by the reader (main.c, stream.py).
// Every key is bounded: system call numbers and ports come from the containers and must not fill a map. What finds no
// room is counted as lost.

#include <asm/unistd.h>
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "counts.h"

// Of the kernel's own types, the fields that are read; the loader finds where this kernel has them.
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
  unsigned long orig_ax, si;
#elif defined(__TARGET_ARCH_arm64)
  unsigned long regs[31];
  int syscallno;
#endif
};
struct sock_common { __u16 skc_dport; };
struct sock { struct sock_common __sk_common; __u16 sk_protocol; };
struct super_block { __u32 s_dev; };
struct inode { struct super_block *i_sb; unsigned long i_ino; };
struct address_space { struct inode *host; };
struct block_device { __u32 bd_dev; };
struct bvec_iter { unsigned int bi_size; };
struct bio { struct block_device *bi_bdev; __u32 bi_opf; struct bvec_iter bi_iter; };
#pragma clang attribute pop
struct task_struct;
struct folio;

#if defined(__TARGET_ARCH_x86)
#define CALL_OF(regs) (regs)->orig_ax
#define SECOND_ARGUMENT(regs) (regs)->si
#elif defined(__TARGET_ARCH_arm64)
#define CALL_OF(regs) (__u32)(regs)->syscallno
#define SECOND_ARGUMENT(regs) (regs)->regs[1]
#endif

#define OVERFLOW (CALLS - 1)
#define TCP 6
#define SYN_SENT 2
#define DNS 53
#define OPERATION 0xff     // REQ_OP_MASK
#define READ 0
#define WRITE 1
#define META (1 << 12)     // REQ_META

enum kind { ORDINARY, REFUSABLE, OPENS, CONNECTS };

// A call that a seccomp filter refuses never gets as far as sys_enter, but it is seen to leave: Docker's own filter
// refuses most of these, and the attempt is what tells of an intruder.
static const __u8 kinds[CALLS] = {
  [__NR_bpf] = REFUSABLE, [__NR_fsmount] = REFUSABLE, [__NR_fsopen] = REFUSABLE, [__NR_mount] = REFUSABLE,
  [__NR_move_mount] = REFUSABLE, [__NR_open_by_handle_at] = REFUSABLE, [__NR_open_tree] = REFUSABLE,
  [__NR_perf_event_open] = REFUSABLE, [__NR_pivot_root] = REFUSABLE, [__NR_setns] = REFUSABLE,
  [__NR_umount2] = REFUSABLE, [__NR_unshare] = REFUSABLE,
#ifdef __NR_open
  [__NR_open] = OPENS,
#endif
  [__NR_openat] = OPENS, [__NR_openat2] = OPENS, [__NR_connect] = CONNECTS,
};

// Keys that the maps hold, for a thousand containers: 65 different calls of each, 8 ports or disks, and 4 cgroups that
// came since the last clearing. Each costs 8 bytes on every possible CPU (docs/probe.md, Cost).
#define CALL_KEYS 65536
#define PAIR_KEYS 32768
#define LABEL_KEYS 8192
#define CGROUP_KEYS 4096
#define FILES 32768

#define COUNTER(name, keys) \
  struct { \
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH); \
    __uint(max_entries, keys); \
    __type(key, struct key); \
    __type(value, __u64); \
  } name SEC(".maps")
#define TABLE(name, of, to) \
  struct { \
    __uint(type, BPF_MAP_TYPE_LRU_HASH); \
    __uint(max_entries, FILES); \
    __type(key, of); \
    __type(value, to); \
  } name SEC(".maps")

struct file { __u32 device; __u32 unused; __u64 inode; };
struct thread { __u32 before; __u32 entered; };

COUNTER(calls, CALL_KEYS);
COUNTER(pairs, PAIR_KEYS);
COUNTER(created, CGROUP_KEYS);
COUNTER(ended, CGROUP_KEYS);
COUNTER(opened, CGROUP_KEYS);
COUNTER(connected, LABEL_KEYS);
COUNTER(read, LABEL_KEYS);
COUNTER(written, LABEL_KEYS);
TABLE(dirtied, struct file, __u64);
TABLE(flushing, __u64, __u64);

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct thread);
} threads SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} lost SEC(".maps");

const volatile __u32 one_in SEC(".rodata.settings"); // one call in so many begins a pair; 0: none
__u8 known[1 << 16];         // ports that are counted by themselves, in network order

char terms[] SEC("license") = "GPL";

static __always_inline void lose(void) {
  __u32 first = 0;
  __u64 *count = bpf_map_lookup_elem(&lost, &first);
  if (count)
    *count += 1;
}

// Two CPUs may find a new key missing at once; the one that comes second finds it there.
static __always_inline void add(void *map, __u64 cgroup, __u64 label, __u64 amount) {
  struct key key = {cgroup, label};
  __u64 *count = bpf_map_lookup_elem(map, &key);
  if (!count) {
    if (!bpf_map_update_elem(map, &key, &amount, BPF_NOEXIST))
      return;
    count = bpf_map_lookup_elem(map, &key);
  }
  if (count)
    *count += amount;
  else
    lose();
}

// A random call in one_in begins a pair, which the next call of the same thread ends.
static __always_inline void pair(struct thread *thread, __u64 cgroup, __u32 call) {
  if (thread->before)
    add(&pairs, cgroup, (__u64)(thread->before - 1) * CALLS + call, 1);
  thread->before = bpf_get_prandom_u32() % one_in == 0 ? call + 1 : 0;
}

// A resolver connects to port 53 over UDP; both address families have the port in the same place.
static __always_inline void resolve(__u64 cgroup, struct pt_regs *regs) {
  struct { __u16 family, port; } address = {};
  bpf_probe_read_user(&address, sizeof(address), (void *)SECOND_ARGUMENT(regs));
  if ((address.family == 2 || address.family == 10) && address.port == bpf_htons(DNS))
    add(&connected, cgroup, DNS, 1);
}

SEC("tp_btf/sys_enter")
int enter(__u64 *arguments) {
  __u64 cgroup = bpf_get_current_cgroup_id();
  __u32 call = arguments[1] < OVERFLOW ? arguments[1] : OVERFLOW;
  __u8 kind = kinds[call];
  add(&calls, cgroup, call, 1);
  if (kind == CONNECTS)
    resolve(cgroup, (struct pt_regs *)arguments[0]);
  if (!one_in && kind != REFUSABLE)
    return 0;
  struct thread *thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!thread) {
    lose();
    return 0;
  }
  if (one_in)
    pair(thread, cgroup, call);
  if (kind == REFUSABLE)
    thread->entered = 1;
  return 0;
}

SEC("tp_btf/sys_exit")
int leave(__u64 *arguments) {
  __u64 call = CALL_OF((struct pt_regs *)arguments[0]);
  __u8 kind = call < CALLS ? kinds[call] : ORDINARY;
  if (kind == OPENS && (long)arguments[1] >= 0)
    add(&opened, bpf_get_current_cgroup_id(), 0, 1);
  if (kind != REFUSABLE)
    return 0;
  struct thread *thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, 0);
  if (thread && thread->entered)
    thread->entered = 0;
  else
    add(&calls, bpf_get_current_cgroup_id(), call, 1);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int fork(void *arguments) {
  add(&created, bpf_get_current_cgroup_id(), 0, 1);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int ends(void *arguments) {
  add(&ended, bpf_get_current_cgroup_id(), 0, 1);
  return 0;
}

// TCP by its first state, still in the caller's context: name resolution connects UDP sockets to the ports of services
// as well, without ever sending anything there.
SEC("tp_btf/inet_sock_set_state")
int connect(__u64 *arguments) {
  if ((int)arguments[2] != SYN_SENT)
    return 0;
  __u16 port = ((struct sock *)arguments[0])->__sk_common.skc_dport;
  if (port != bpf_htons(DNS))
    add(&connected, bpf_get_current_cgroup_id(), known[port] ? bpf_ntohs(port) : 0, 1);
  return 0;
}

// Buffered writes reach the disk from a kernel thread: charge them to the cgroup that dirtied the file last.
SEC("tp_btf/writeback_dirty_folio")
int dirty(__u64 *arguments) {
  struct address_space *mapping = (struct address_space *)arguments[1];
  if (!mapping)
    return 0;
  struct file file = {mapping->host->i_sb->s_dev, 0, mapping->host->i_ino};
  __u64 cgroup = bpf_get_current_cgroup_id();
  bpf_map_update_elem(&dirtied, &file, &cgroup, BPF_ANY);
  return 0;
}

SEC("tp_btf/writeback_single_inode_start")
int flush(__u64 *arguments) {
  struct inode *inode = (struct inode *)arguments[0];
  struct file file = {inode->i_sb->s_dev, 0, inode->i_ino};
  __u64 thread = bpf_get_current_pid_tgid(), *cgroup = bpf_map_lookup_elem(&dirtied, &file);
  if (cgroup)
    bpf_map_update_elem(&flushing, &thread, cgroup, BPF_ANY);
  return 0;
}

SEC("tp_btf/writeback_single_inode")
int flushed(__u64 *arguments) {
  __u64 thread = bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&flushing, &thread);
  return 0;
}

// A bio is queued once, by whoever wants it done; requests are issued later, merged and often by somebody else. Reads
// are all reads; writes are data only: the journal is everybody's.
SEC("tp_btf/block_bio_queue")
int queue(__u64 *arguments) {
  struct bio *bio = (struct bio *)arguments[0];
  __u64 thread = bpf_get_current_pid_tgid(), *dirtier = bpf_map_lookup_elem(&flushing, &thread);
  __u64 cgroup = dirtier ? *dirtier : bpf_get_current_cgroup_id(), device = bio->bi_bdev->bd_dev;
  __u32 flags = bio->bi_opf, sectors = bio->bi_iter.bi_size >> 9;
  if (sectors && (flags & OPERATION) == READ)
    add(&read, cgroup, device, sectors);
  if (sectors && (flags & OPERATION) == WRITE && !(flags & META))
    add(&written, cgroup, device, sectors);
  return 0;
}
