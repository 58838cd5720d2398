// cpp-probe-kernel: load the programs of counts.bpf.c and print their maps as lines of JSON (see exporter/probe/stream.py).
//
// Usage: cpp-probe-kernel MILLISECONDS PORT... : print each so often; count connections to these ports by themselves.

#include <errno.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "counts.h"

#define PAIRS_EVERY 5
#define CLEAR_SECONDS 300
#define BATCH 4096

// The compiled programs are part of this one.
asm(".section .rodata\n.balign 8\nprograms:\n.incbin \"" PROGRAMS "\"\nprograms_end:\n.previous");
extern const char programs[], programs_end[];

// What calls were counted since the last clearing, sorted by key.
struct counts {
  struct count *all;
  size_t number;
};

static struct bpf_object *object;
static union {
  struct key labelled[BATCH];
  __u64 packed[BATCH];
} keys;
static __u64 *values;
static int processors;
static struct count *placed; // shared with the kernel, as is the generation
static __u32 *generation;
static struct counts now, before; // before: with the pairs that were printed last

static void fail(const char *what) {
  printf("\nERROR: %s: %s\n", what, strerror(errno)); // on a line of its own, also in the middle of a map
  exit(1);
}

static int say(enum libbpf_print_level level, const char *format, va_list arguments) {
  return level == LIBBPF_WARN ? vprintf(format, arguments) : 0;
}

static struct bpf_map *map_of(const char *name) { return bpf_object__find_map_by_name(object, name); }

static __u64 sum(const __u64 *of_each) {
  __u64 total = 0;
  for (int i = 0; i < processors; i++)
    total += of_each[i];
  return total;
}

// Read a map a batch at a time, with `clear` emptying it; nothing that was counted is lost between. Return whether it was
// over three quarters full: a key that finds no room may be the intruder's.
static int read_map(const char *name, int clear, void (*take)(__u32 place, __u64 count)) {
  struct bpf_map *of_name = map_of(name);
  int map = bpf_map__fd(of_name), error;
  __u32 position, count, keys_seen = 0;
  void *from = NULL;
  do {
    count = BATCH;
    error = clear ? bpf_map_lookup_and_delete_batch(map, from, &position, &keys, values, &count, NULL)
                  : bpf_map_lookup_batch(map, from, &position, &keys, values, &count, NULL);
    if (error && errno != ENOENT)
      fail("cannot read a map");
    for (__u32 i = 0; i < count; i++)
      take(i, sum(values + (size_t)i * processors));
    from = &position;
    keys_seen += count;
  } while (!error);
  return keys_seen > bpf_map__max_entries(of_name) / 4 * 3;
}

static const char *separator;

static void print_count(__u64 cgroup, __u64 label, __u64 count) {
  printf("%s\"%llu,%llu\": %llu", separator, cgroup, label, count);
  separator = ", ";
}

static void begin_map(const char *name) {
  printf("{\"type\": \"map\", \"data\": {\"@%s\": {", name);
  separator = "";
}

static void end_map(void) { puts("}}}"); }

static void print_labelled(__u32 place, __u64 count) {
  print_count(keys.labelled[place].cgroup, keys.labelled[place].label, count);
}

static int print_map(const char *name, int clear) {
  begin_map(name);
  int filling = read_map(name, clear, print_labelled);
  end_map();
  return filling;
}

static void keep(__u64 key, __u64 count) {
  if (count)
    now.all[now.number++] = (struct count){key, count};
}

static void keep_packed(__u32 place, __u64 count) { keep(keys.packed[place], count); }

static int in_order(const void *one, const void *other) {
  __u64 first = ((const struct count *)one)->key, second = ((const struct count *)other)->key;
  return (first > second) - (first < second);
}

// Add up the counts of a key, of which each CPU has its own.
static void merge(struct counts *counts) {
  size_t merged = 0;
  qsort(counts->all, counts->number, sizeof(*counts->all), in_order);
  for (size_t i = 0; i < counts->number; i++) {
    if (merged && counts->all[merged - 1].key == counts->all[i].key)
      counts->all[merged - 1].count += counts->all[i].count;
    else
      counts->all[merged++] = counts->all[i];
  }
  counts->number = merged;
}

// Read what has a place. To clear, the kernel is turned to the other generation, which is empty; a call that was being
// counted then, for some nanoseconds, is waited for.
static void read_placed(int clear) {
  __u32 of = *generation;
  if (clear) {
    *(volatile __u32 *)generation = !of;
    usleep(1000);
  }
  for (int cpu = 0; cpu < processors; cpu++) {
    struct count *places = placed + ((size_t)cpu * 2 + of) * PLACES;
    for (size_t i = 0; i < PLACES; i++)
      keep(places[i].key, places[i].count);
    if (clear)
      memset(places, 0, PLACES * sizeof(*places));
  }
}

// Read all calls into `now`; return whether a map is better cleared.
static int read_calls(int clear) {
  now.number = 0;
  read_placed(clear);
  int filling = read_map("pairs", clear, keep_packed) | read_map("calls", clear, keep_packed);
  merge(&now);
  return filling;
}

static void print_calls(void) {
  begin_map("calls");
  for (size_t i = 0; i < now.number;) {
    __u64 call = now.all[i].key / CALLS, count = 0;
    for (; i < now.number && now.all[i].key / CALLS == call; i++)
      count += now.all[i].count;
    print_count(call / CALLS, call % CALLS, count);
  }
  end_map();
}

static void print_word(const char *word) { printf("{\"type\": \"printf\", \"data\": \"%s\\n\"}\n", word); }

static void print_lost(void) {
  static __u64 before;
  __u32 first = 0;
  if (bpf_map_lookup_elem(bpf_map__fd(map_of("lost")), &first, values))
    fail("cannot read a map");
  __u64 now = sum(values);
  if (now > before)
    printf("{\"type\": \"lost_events\", \"data\": {\"events\": %llu}}\n", now - before);
  before = now;
}

// Return whether the maps are better cleared with the next print.
static int print_counts(int clear) {
  static const char *const names[] = {"created", "ended", "opened", "connected", "read", "written"};
  print_word("print");
  int filling = read_calls(clear);
  print_calls();
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
    filling |= print_map(names[i], clear);
  print_lost();
  print_word(clear ? "cleared" : "end");
  return filling && !clear;
}

// Print by how much each pair was made more often than at the last time.
static void print_pairs(int clear) {
  print_word("pairs");
  begin_map("pairs");
  for (size_t i = 0, j = 0; i < now.number; i++) {
    __u64 key = now.all[i].key, pair = key % CALLS * CALLS + key / CALLS % CALLS;
    while (j < before.number && before.all[j].key < key)
      j++;
    __u64 gained = now.all[i].count - (j < before.number && before.all[j].key == key ? before.all[j].count : 0);
    if (gained && key % CALLS != NONE)
      print_count(key / CALLS / CALLS, pair, gained);
  }
  end_map();
  print_word("paired");
  struct counts printed = now;
  now = before;
  before = printed;
  if (clear)
    before.number = 0;
}

// What this kernel does not have is said by its name.
static void must_have(const char *section) {
  const char *tracepoint = strchr(section, '/') + 1;
  if (libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP) >= 0)
    return;
  printf("ERROR: this kernel has no tracepoint %s; the probe needs Linux 5.18 or newer\n", tracepoint);
  exit(1);
}

// Return a map's memory, which the kernel writes.
static void *shared(const char *name) {
  struct bpf_map *map = map_of(name);
  size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
  if (memory == MAP_FAILED)
    fail("cannot share a map's memory");
  return memory;
}

static void *room(size_t number, size_t size) {
  void *memory = calloc(number, size);
  if (!memory)
    fail("cannot hold the counts");
  return memory;
}

static void make_room(void) {
  size_t most = bpf_map__max_entries(map_of("pairs")) + bpf_map__max_entries(map_of("calls"));
  most += (size_t)processors * PLACES;
  values = room((size_t)BATCH * processors, sizeof(*values));
  now.all = room(most, sizeof(*now.all));
  before.all = room(most, sizeof(*before.all));
}

static void load(char **ports) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "cpp_probe");
  libbpf_set_print(say);
  object = bpf_object__open_mem(programs, programs_end - programs, &options);
  if (!object)
    fail("cannot open the programs");
  size_t size;
  char *by_port = (char *)bpf_map__initial_value(map_of(".bss"), &size);
  for (; *ports; ports++)
    by_port[htons(atoi(*ports))] = 1;
  struct bpf_program *program;
  bpf_object__for_each_program(program, object) must_have(bpf_program__section_name(program));
  if (bpf_map__set_max_entries(map_of("placed"), 2 * PLACES * processors) || bpf_object__load(object))
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
  long interval = count < 2 ? 0 : atol(arguments[1]);
  if (interval < 1) {
    fputs("usage: cpp-probe-kernel MILLISECONDS PORT...\n", stderr);
    return 2;
  }
  processors = libbpf_num_possible_cpus();
  load(arguments + 2);
  make_room();
  placed = shared("placed");
  generation = shared(".data.generation");
  long clear_every = CLEAR_SECONDS * 1000 / interval;
  if (clear_every < 1)
    clear_every = 1;
  int filling = 0;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (long turn = 1;; turn++) {
    sleep_until_next(&next, interval);
    int clear = filling || turn % clear_every == 0;
    filling = print_counts(clear);
    if (clear || turn % PAIRS_EVERY == 0)
      print_pairs(clear);
    if (fflush(stdout))
      return 0;
  }
}
