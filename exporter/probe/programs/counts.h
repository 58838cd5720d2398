// What the program in the kernel and the one that reads it agree on.
#define CALLS 512 // numbers of system calls; the last one stands for every call past it

struct key {
  __u64 cgroup, label;
};
