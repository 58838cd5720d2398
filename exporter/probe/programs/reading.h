// What the kernel has counted, as main.c prints it.
#include <linux/types.h>
#include <stddef.h>

#include "counts.h"

// Calls counted since the last clearing, sorted by key.
struct counts {
  struct count *all;
  size_t number, room;
};

// Say what went wrong and end.
void fail(const char *what);

// Load the programs, which count connections to these ports by themselves, and begin to count.
void load(char **ports);

// Count the calls of these cgroups no more; 0 stands for counting those of all again.
void leave_out(const __u64 *cgroups, size_t number);

// Return room for all calls that can be counted.
struct counts make_room(void);

// Read all calls; with `clear` counting starts again from zero after it, and nothing is lost between. Return whether a map
// was over three quarters full: a key that finds no room may be the intruder's.
int read_calls(struct counts *calls, int clear);

typedef void taker(void *to, const void *key, __u64 count);

// Give each key of another map to `take`; else as above.
int read_map(const char *name, int clear, taker *take, void *to);

// Return how many events were lost until now.
__u64 read_lost(void);
