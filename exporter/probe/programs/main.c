// cpp-probe-kernel: print what the programs of counts.bpf.c count as lines of JSON (see exporter/probe/stream.py).
//
// Usage: cpp-probe-kernel MILLISECONDS PORT... : print each so often; count connections to these ports by themselves. What
// comes on standard input are ids of cgroups, 8 bytes each, whose calls are of no interest; 0 for none from here on.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <fcntl.h>
#include <unistd.h>

#include "reading.h"

#define PAIRS_EVERY 5
#define CLEAR_SECONDS 300

static struct counts calls, before; // before: as when pairs were last printed
static const char *separator;

static void print_word(const char *word) { printf("{\"type\": \"printf\", \"data\": \"%s\\n\"}\n", word); }

static void begin_map(const char *name) {
  printf("{\"type\": \"map\", \"data\": {\"@%s\": {", name);
  separator = "";
}

static void end_map(void) { puts("}}}"); }

static void print_count(struct key key, __u64 count) {
  printf("%s\"%llu,%llu\": %llu", separator, key.cgroup, key.label, count);
  separator = ", ";
}

static void print_labelled(void *to, const void *key, __u64 count) {
  (void)to;
  print_count(*(const struct key *)key, count);
}

static int print_map(const char *name, int clear) {
  begin_map(name);
  int filling = read_map(name, clear, print_labelled, NULL);
  end_map();
  return filling;
}

// A call's count is that of all pairs that it ends.
static void print_calls(void) {
  begin_map("calls");
  for (size_t i = 0; i < calls.number;) {
    __u64 call = calls.all[i].key / CALLS, count = 0;
    for (; i < calls.number && calls.all[i].key / CALLS == call; i++)
      count += calls.all[i].count;
    print_count((struct key){call / CALLS, call % CALLS}, count);
  }
  end_map();
}

static void print_lost(void) {
  static __u64 told;
  __u64 lost = read_lost();
  if (lost > told)
    printf("{\"type\": \"lost_events\", \"data\": {\"events\": %llu}}\n", lost - told);
  told = lost;
}

// Return whether the maps are better cleared with the next print.
static int print_counts(int clear) {
  static const char *const names[] = {"created", "ended", "opened", "connected", "read", "written"};
  print_word("print");
  int filling = read_calls(&calls, clear);
  print_calls();
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
    filling |= print_map(names[i], clear);
  print_lost();
  print_word(clear ? "cleared" : "end");
  return filling && !clear;
}

// Print by how much each pair was made more often than at the last time.
static void print_pairs(int cleared) {
  print_word("pairs");
  begin_map("pairs");
  for (size_t i = 0, j = 0; i < calls.number; i++) {
    struct count now = calls.all[i];
    __u64 first = now.key % CALLS, second = now.key / CALLS % CALLS;
    while (j < before.number && before.all[j].key < now.key)
      j++;
    if (j < before.number && before.all[j].key == now.key)
      now.count -= before.all[j].count;
    if (now.count && first != NONE)
      print_count((struct key){now.key / CALLS / CALLS, first * CALLS + second}, now.count);
  }
  end_map();
  print_word("paired");
  struct counts printed = calls;
  calls = before;
  before = printed;
  if (cleared)
    before.number = 0;
}

// Take in what has come so far.
static void take_orders(void) {
  __u64 cgroups[512];
  ssize_t size;
  while ((size = read(STDIN_FILENO, cgroups, sizeof(cgroups))) > 0)
    leave_out(cgroups, size / sizeof(*cgroups));
}

// Sleep until an interval after `next`; turns for which printing left no time are given up.
static void sleep_until_next(struct timespec *next, long interval) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long late = (now.tv_sec - next->tv_sec) * 1000 + (now.tv_nsec - next->tv_nsec) / 1000000;
  if (late > interval)
    *next = now;
  next->tv_nsec += interval % 1000 * 1000000;
  next->tv_sec += interval / 1000 + next->tv_nsec / 1000000000;
  next->tv_nsec %= 1000000000;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL))
    ;
}

int main(int count, char **arguments) {
  long interval = count < 2 ? 0 : atol(arguments[1]);
  if (interval < 1) {
    fputs("usage: cpp-probe-kernel MILLISECONDS PORT...\n", stderr);
    return 2;
  }
  load(arguments + 2);
  calls = make_room();
  before = make_room();
  long clear_every = CLEAR_SECONDS * 1000 / interval;
  if (clear_every < 1)
    clear_every = 1;
  fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
  int filling = 0;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (long turn = 1;; turn++) {
    sleep_until_next(&next, interval);
    take_orders();
    int clear = filling || turn % clear_every == 0;
    filling = print_counts(clear);
    if (clear || turn % PAIRS_EVERY == 0)
      print_pairs(clear);
    if (fflush(stdout))
      return 0;
  }
}
