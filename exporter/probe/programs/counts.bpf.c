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
struct kernfs_node { __u64 id; };
struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };
struct task_struct { struct css_set *cgroups; int pid; };
#pragma clang attribute pop
struct folio;

#if defined(__TARGET_ARCH_x86)
#define CALL_OF(regs) (regs)->orig_ax
#define NO_CALL (__u64)-1  // what rt_sigreturn leaves in place of its number
#define SECOND_ARGUMENT(regs) (regs)->si
#elif defined(__TARGET_ARCH_arm64)
#define CALL_OF(regs) (__u32)(regs)->syscallno
#define NO_CALL (__u32)-1
#define SECOND_ARGUMENT(regs) (regs)->regs[1]
#endif

#define TCP 6
#define SYN_SENT 2
#define DNS 53
#define OPERATION 0xff     // REQ_OP_MASK
#define READ 0
#define WRITE 1
#define META (1 << 12)     // REQ_META

enum kind { ORDINARY, FORKS, OPENS, CONNECTS };

static const __u8 kinds[CALLS] = {
  [__NR_clone] = FORKS, [__NR_clone3] = FORKS,
#ifdef __NR_fork
  [__NR_fork] = FORKS, [__NR_vfork] = FORKS,
#endif
#ifdef __NR_open
  [__NR_open] = OPENS,
#endif
  [__NR_openat] = OPENS, [__NR_openat2] = OPENS, [__NR_connect] = CONNECTS,
};

// Keys that the maps hold, for a thousand containers: 131 different pairs of calls of each past what has a place, 32 calls
// where pairs have no room, 8 ports or disks, and 4 cgroups that came since the last clearing. Each costs 8 bytes on every
// possible CPU (docs/probe.md, Cost).
#define PAIR_KEYS 131072
#define CALL_KEYS 32768
#define LABEL_KEYS 8192
#define CGROUP_KEYS 4096
#define FILES 32768
#define THREAD_BITS 12

#define COUNTER(name, keys, of) \
  struct { \
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH); \
    __uint(max_entries, keys); \
    __type(key, of); \
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

COUNTER(pairs, PAIR_KEYS, __u64);
COUNTER(calls, CALL_KEYS, __u64);
COUNTER(created, CGROUP_KEYS, struct key);
COUNTER(ended, CGROUP_KEYS, struct key);
COUNTER(opened, CGROUP_KEYS, struct key);
COUNTER(connected, LABEL_KEYS, struct key);
COUNTER(read, LABEL_KEYS, struct key);
COUNTER(written, LABEL_KEYS, struct key);
TABLE(dirtied, struct file, __u64);
TABLE(flushing, __u64, __u64);

// A key has two places to look for on each CPU and in each generation; who comes first keeps it until the reader, who
// turns to the other generation, has emptied this one. It has as many entries as CPUs ask for.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 2 * PLACES);
  __type(key, __u32);
  __type(value, struct count);
} placed SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1 << THREAD_BITS);
  __type(key, __u32);
  __type(value, __u64);
} threads SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} lost SEC(".maps");

__u32 generation SEC(".data.generation"); // 0 or 1
__u64 hosts[HOSTS] SEC(".data.hosts"); // cgroups that nobody asks about, each at its number modulo HOSTS
__u8 known[1 << 16];         // ports that are counted by themselves, in network order

char terms[] SEC("license") = "GPL";

static __always_inline void lose(void) {
  __u32 first = 0;
  __u64 *count = bpf_map_lookup_elem(&lost, &first);
  if (count)
    *count += 1;
}

// Return whether there was room. Two CPUs may find a new key missing at once; the one that comes second finds it there.
static __always_inline int increase(void *map, const void *key, __u64 amount) {
  __u64 *count = bpf_map_lookup_elem(map, key);
  if (!count) {
    if (!bpf_map_update_elem(map, key, &amount, BPF_NOEXIST))
      return 1;
    count = bpf_map_lookup_elem(map, key);
  }
  if (!count)
    return 0;
  *count += amount;
  return 1;
}

static __always_inline void add(void *map, __u64 cgroup, __u64 label, __u64 amount) {
  struct key key = {cgroup, label};
  if (!increase(map, &key, amount))
    lose();
}

// Return whether the place is the key's. Only this CPU writes here, and no call returns while another one does.
static __always_inline int count_at(__u32 place, __u64 key) {
  struct count *count = bpf_map_lookup_elem(&placed, &place);
  if (!count || (count->key && count->key != key))
    return 0;
  count->key = key;
  count->count += 1;
  return 1;
}

static __always_inline __u64 *last_call(__u32 thread) {
  __u32 place = thread * 2654435769u >> (32 - THREAD_BITS); // threads that follow each other share no cache line
  return bpf_map_lookup_elem(&threads, &place);
}

// The thread's call before this one, which is the last from now on. Two threads that share a place may lose a pair; one
// word holds thread and call, so that none is made up.
static __always_inline __u64 call_before(__u32 thread, __u64 call) {
  __u64 *last = last_call(thread);
  if (!last)
    return NONE;
  __u64 before = *last;
  *last = thread * (__u64)CALLS + call;
  return before / CALLS == thread ? before % CALLS : NONE;
}

// Where a pair has no room, its call is still counted: nobody hides calls by making up pairs.
static __always_inline void count_call(__u64 cgroup, __u32 thread, __u32 call) {
  __u64 alone = (cgroup * CALLS + call) * CALLS, key = alone + call_before(thread, call);
  __u32 home = (bpf_get_smp_processor_id() * 2 + generation) * PLACES;
  __u32 place = home + (key * 0x9e3779b97f4a7c15 >> (64 - PLACE_BITS));
  if (count_at(place, key) || count_at(place ^ 1, key) || increase(&pairs, &key, 1))
    return;
  lose();
  alone += NONE;
  if (!increase(&calls, &alone, 1))
    lose();
}

// A resolver connects to port 53 over UDP; both address families have the port in the same place.
static __always_inline void resolve(__u64 cgroup, struct pt_regs *regs) {
  struct { __u16 family, port; } address = {};
  bpf_probe_read_user(&address, sizeof(address), (void *)SECOND_ARGUMENT(regs));
  if ((address.family == 2 || address.family == 10) && address.port == bpf_htons(DNS))
    add(&connected, cgroup, DNS, 1);
}

// Where calls return, and not where they begin: what a seccomp filter refuses is only seen there, and how a call ended;
// both would cost twice as much. So exit and exit_group are not seen.
SEC("tp_btf/sys_exit")
int leave(__u64 *arguments) {
  struct pt_regs *regs = (struct pt_regs *)arguments[0];
  struct task_struct *task = bpf_get_current_task_btf();
  long result = arguments[1];
  __u64 number = CALL_OF(regs), cgroup = task->cgroups->dfl_cgrp->kn->id;
  if (hosts[cgroup % HOSTS] == cgroup)
    return 0;
  __u32 call = number < NONE ? number : number == NO_CALL ? __NR_rt_sigreturn : OVERFLOW;
  __u8 kind = kinds[call];
  if (kind == FORKS && !result)
    return 0; // the child leaves the call that made it
  if (kind == OPENS && result >= 0)
    add(&opened, cgroup, 0, 1);
  if (kind == CONNECTS)
    resolve(cgroup, regs);
  count_call(cgroup, task->pid, call);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int fork(void *arguments) {
  add(&created, bpf_get_current_cgroup_id(), 0, 1);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int ends(void *arguments) {
  __u32 thread = bpf_get_current_pid_tgid();
  __u64 *last = last_call(thread);
  if (last && *last / CALLS == thread)
    *last = 0; // the next thread of this number goes on with nothing
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
