// Load the programs of counts.bpf.c and read their maps.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "reading.h"

#define BATCH 4096

// The compiled programs are part of this one.
asm(".section .rodata\n.balign 8\nprograms:\n.incbin \"" PROGRAMS "\"\nprograms_end:\n.previous");
extern const char programs[], programs_end[];

static struct bpf_object *object;
static int processors;
static struct count *placed;  // shared with the kernel, as is the generation
static __u32 *generation;
static __u64 *hosts;          // and the cgroups that are left out
static char *keys;            // a batch of a map
static __u64 *values;         // and its counts, of each processor
static __u64 missed;          // calls for which there was no room here

void fail(const char *what) {
  printf("\nERROR: %s: %s\n", what, strerror(errno)); // on a line of its own, also in the middle of a map
  exit(1);
}

static int say(enum libbpf_print_level level, const char *format, va_list arguments) {
  return level == LIBBPF_WARN ? vprintf(format, arguments) : 0;
}

static struct bpf_map *map_of(const char *name) { return bpf_object__find_map_by_name(object, name); }

static void *room(size_t number, size_t size) {
  void *memory = calloc(number, size);
  if (!memory)
    fail("cannot hold the counts");
  return memory;
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

// What this kernel does not have is said by its name.
static void must_have(const char *section) {
  const char *tracepoint = strchr(section, '/') + 1;
  if (libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP) >= 0)
    return;
  printf("ERROR: this kernel has no tracepoint %s; the probe needs Linux 5.18 or newer\n", tracepoint);
  exit(1);
}

static void count_apart(char **ports) {
  size_t size;
  char *by_port = (char *)bpf_map__initial_value(map_of(".bss"), &size);
  for (; *ports; ports++)
    by_port[htons(atoi(*ports))] = 1;
}

void load(char **ports) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "cpp_probe");
  libbpf_set_print(say);
  processors = libbpf_num_possible_cpus();
  object = bpf_object__open_mem(programs, programs_end - programs, &options);
  if (processors < 1 || !object)
    fail("cannot open the programs");
  count_apart(ports);
  struct bpf_program *program;
  bpf_object__for_each_program(program, object) must_have(bpf_program__section_name(program));
  if (bpf_map__set_max_entries(map_of("placed"), 2 * PLACES * processors) || bpf_object__load(object))
    fail("cannot load the programs");
  placed = shared("placed");
  generation = shared(".data.generation");
  hosts = shared(".data.hosts");
  keys = room(BATCH, sizeof(struct key));
  values = room((size_t)BATCH * processors, sizeof(*values));
  bpf_object__for_each_program(program, object) {
    if (!bpf_program__attach(program))
      fail(bpf_program__name(program));
  }
}

void leave_out(const __u64 *cgroups, size_t number) {
  for (size_t i = 0; i < number; i++) {
    if (cgroups[i])
      hosts[cgroups[i] % HOSTS] = cgroups[i];
    else
      memset(hosts, 0, HOSTS * sizeof(*hosts));
  }
}

struct counts make_room(void) {
  // Twice the maps: while one is emptied it fills again.
  size_t most = 2 * (size_t)(bpf_map__max_entries(map_of("pairs")) + bpf_map__max_entries(map_of("calls")));
  most += (size_t)processors * PLACES;
  return (struct counts){room(most, sizeof(struct count)), 0, most};
}

static __u64 sum(const __u64 *of_each) {
  __u64 total = 0;
  for (int i = 0; i < processors; i++)
    total += of_each[i];
  return total;
}

int read_map(const char *name, int clear, taker *take, void *to) {
  struct bpf_map *of_name = map_of(name);
  int map = bpf_map__fd(of_name), error;
  __u32 position, count, keys_seen = 0;
  void *from = NULL;
  do {
    count = BATCH;
    error = clear ? bpf_map_lookup_and_delete_batch(map, from, &position, keys, values, &count, NULL)
                  : bpf_map_lookup_batch(map, from, &position, keys, values, &count, NULL);
    if (error && errno != ENOENT)
      fail("cannot read a map");
    for (__u32 i = 0; i < count; i++)
      take(to, keys + (size_t)i * bpf_map__key_size(of_name), sum(values + (size_t)i * processors));
    from = &position;
    keys_seen += count;
  } while (!error);
  return keys_seen > bpf_map__max_entries(of_name) / 4 * 3;
}

static void keep(struct counts *calls, __u64 key, __u64 count) {
  if (count && calls->number < calls->room)
    calls->all[calls->number++] = (struct count){key, count};
  else
    missed += count;
}

static void keep_unplaced(void *calls, const void *key, __u64 count) { keep(calls, *(const __u64 *)key, count); }

// To clear, the kernel is turned to the other generation, which is empty; a call that was being counted then, for some
// nanoseconds, is waited for.
static void read_placed(struct counts *calls, int clear) {
  __u32 of = *generation;
  if (clear) {
    *(volatile __u32 *)generation = !of;
    usleep(1000);
  }
  for (int cpu = 0; cpu < processors; cpu++) {
    struct count *places = placed + ((size_t)cpu * 2 + of) * PLACES;
    for (size_t i = 0; i < PLACES; i++)
      keep(calls, places[i].key, places[i].count);
    if (clear)
      memset(places, 0, PLACES * sizeof(*places));
  }
}

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

int read_calls(struct counts *calls, int clear) {
  calls->number = 0;
  read_placed(calls, clear);
  int filling = read_map("pairs", clear, keep_unplaced, calls) | read_map("calls", clear, keep_unplaced, calls);
  merge(calls);
  return filling;
}

__u64 read_lost(void) {
  __u32 first = 0;
  if (bpf_map_lookup_elem(bpf_map__fd(map_of("lost")), &first, values))
    fail("cannot read a map");
  return sum(values) + missed;
}
