// What the program in the kernel and the one that reads it agree on.
#define CALLS 512            // numbers of system calls
#define NONE (CALLS - 2)     // stands before the first call that is seen of a thread
#define OVERFLOW (CALLS - 1) // every call past the others
#define HOSTS 1024           // cgroups that can be left out
#define PLACE_BITS 13
#define PLACES (1 << PLACE_BITS) // of one CPU and generation

// The key of a call: (cgroup x CALLS + call) x CALLS + the call before it. 46 bits are left for the cgroup's id, whose
// upper 32 grow by one with every 2^31 cgroups that a host has made.
struct count {
  __u64 key, count;
};

struct key {
  __u64 cgroup, label;
};
