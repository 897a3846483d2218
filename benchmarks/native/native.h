// What native peers share: columns of a folder in memory before the clock starts, then a run per line on stdin. Each run prints its
// milliseconds and a text that says what came out.
#pragma once
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void setup(int argc, char **argv);
static void run(void);
static void print_result(void);

static void *load(const char *folder, const char *name, size_t *bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file) { fprintf(stderr, "%s cannot be read\n", path); exit(1); }
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  rewind(file);
  // As kernels may: reading to the next multiple of 64 bytes.
  void *data = aligned_alloc(64, (*bytes + 127) / 64 * 64);
  if (fread(data, 1, *bytes, file) != *bytes) exit(1);
  fclose(file);
  return data;
}

int main(int argc, char **argv) {
  setup(argc, argv);
  char line[16];
  while (fgets(line, sizeof line, stdin)) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    run();
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.6f ", (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    print_result();
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
