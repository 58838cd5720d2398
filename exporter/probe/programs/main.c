// cpp-probe-kernel: load the programs of counts.bpf.c and print their maps as lines of JSON (see exporter/probe/stream.py).
//
// Usage: cpp-probe-kernel MILLISECONDS ONE_IN PORT... : print each so often; follow one call in ONE_IN to the next of its
// thread (0: none); count connections to these ports by themselves.

#include <errno.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "counts.h"

#define PAIRS_EVERY 5
#define CLEAR_SECONDS 300
#define BATCH 4096

// The compiled programs are part of this one.
asm(".section .rodata\n.balign 8\nprograms:\n.incbin \"" PROGRAMS "\"\nprograms_end:\n.previous");
extern const char programs[], programs_end[];

static struct bpf_object *object;
static struct key keys[BATCH];
static __u64 *values;
static int processors;

static void fail(const char *what) {
  printf("\nERROR: %s: %s\n", what, strerror(errno)); // on a line of its own, also in the middle of a map
  exit(1);
}

static int say(enum libbpf_print_level level, const char *format, va_list arguments) {
  return level == LIBBPF_WARN ? vprintf(format, arguments) : 0;
}

static __u64 sum(const __u64 *of_each) {
  __u64 total = 0;
  for (int i = 0; i < processors; i++)
    total += of_each[i];
  return total;
}

// The key of a count at `place` of the batch that was read; calls have theirs packed into one number.
static struct key key_at(const struct bpf_map *map, __u32 place) {
  if (bpf_map__key_size(map) == sizeof(struct key))
    return keys[place];
  __u64 packed = ((__u64 *)keys)[place];
  return (struct key){packed / CALLS, packed % CALLS};
}

// Print a map; with `clear` its keys are gone after it, and nothing that was counted is lost between. Return whether it
// is over three quarters full: a key that finds no room may be the intruder's.
static int print_map(const char *name, int clear) {
  struct bpf_map *of_name = bpf_object__find_map_by_name(object, name);
  int map = bpf_map__fd(of_name), error;
  const char *separator = "";
  __u32 position, count, keys_seen = 0;
  void *from = NULL;
  printf("{\"type\": \"map\", \"data\": {\"@%s\": {", name);
  do {
    count = BATCH;
    error = clear ? bpf_map_lookup_and_delete_batch(map, from, &position, keys, values, &count, NULL)
                  : bpf_map_lookup_batch(map, from, &position, keys, values, &count, NULL);
    if (error && errno != ENOENT)
      fail("cannot read a map");
    for (__u32 i = 0; i < count; i++) {
      struct key key = key_at(of_name, i);
      printf("%s\"%llu,%llu\": %llu", separator, key.cgroup, key.label, sum(values + (size_t)i * processors));
      separator = ", ";
    }
    from = &position;
    keys_seen += count;
  } while (!error);
  puts("}}}");
  return keys_seen > bpf_map__max_entries(of_name) / 4 * 3;
}

static void print_word(const char *word) { printf("{\"type\": \"printf\", \"data\": \"%s\\n\"}\n", word); }

static void print_lost(void) {
  static __u64 before;
  __u32 first = 0;
  int map = bpf_object__find_map_fd_by_name(object, "lost");
  if (bpf_map_lookup_elem(map, &first, values))
    fail("cannot read a map");
  __u64 now = sum(values);
  if (now > before)
    printf("{\"type\": \"lost_events\", \"data\": {\"events\": %llu}}\n", now - before);
  before = now;
}

// Return whether the maps are better cleared with the next print.
static int print_counts(int clear) {
  static const char *const names[] = {"calls", "created", "ended", "opened", "connected", "read", "written"};
  int filling = 0;
  print_word("print");
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
    filling |= print_map(names[i], clear);
  print_lost();
  print_word(clear ? "cleared" : "end");
  return filling && !clear;
}

static void print_pairs(void) {
  print_word("pairs");
  print_map("pairs", 1);
  print_word("paired");
}

// What this kernel does not have is said by its name.
static void must_have(const char *section) {
  const char *tracepoint = strchr(section, '/') + 1;
  if (libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP) >= 0)
    return;
  printf("ERROR: this kernel has no tracepoint %s; the probe needs Linux 5.18 or newer\n", tracepoint);
  exit(1);
}

static void load(__u32 one_in, char **ports) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "cpp_probe");
  libbpf_set_print(say);
  object = bpf_object__open_mem(programs, programs_end - programs, &options);
  if (!object)
    fail("cannot open the programs");
  size_t size;
  struct bpf_map *fixed = bpf_object__find_map_by_name(object, ".rodata.settings");
  struct bpf_map *known = bpf_object__find_map_by_name(object, ".bss");
  *(__u32 *)bpf_map__initial_value(fixed, &size) = one_in;
  char *by_port = (char *)bpf_map__initial_value(known, &size);
  for (; *ports; ports++)
    by_port[htons(atoi(*ports))] = 1;
  struct bpf_program *program;
  bpf_object__for_each_program(program, object) must_have(bpf_program__section_name(program));
  if (bpf_object__load(object))
    fail("cannot load the programs");
  bpf_object__for_each_program(program, object) {
    if (!bpf_program__attach(program))
      fail(bpf_program__name(program));
  }
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
  long interval = count < 3 ? 0 : atol(arguments[1]);
  if (interval < 1) {
    fputs("usage: cpp-probe-kernel MILLISECONDS ONE_IN PORT...\n", stderr);
    return 2;
  }
  processors = libbpf_num_possible_cpus();
  values = calloc((size_t)BATCH * processors, sizeof(*values));
  if (!values)
    fail("cannot hold a batch of counts");
  load(atoi(arguments[2]), arguments + 3);
  long clear_every = CLEAR_SECONDS * 1000 / interval;
  if (clear_every < 1)
    clear_every = 1;
  int filling = 0;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (long turn = 1;; turn++) {
    sleep_until_next(&next, interval);
    filling = print_counts(filling || turn % clear_every == 0);
    if (turn % PAIRS_EVERY == 0)
      print_pairs();
    if (fflush(stdout))
      return 0;
  }
}
