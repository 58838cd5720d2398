// What the program in the kernel and the one that reads it agree on.
#define CALLS 512      // numbers of system calls; the last one stands for every call past it
#define MAP_KEYS 32768 // keys that a map can hold: some 500 containers between two clearings

struct key {
  __u64 cgroup, label;
};
