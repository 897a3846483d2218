// Results by columns, as benchmarks/harness/column-hash.ts hashes them: values as words of 32 bits, texts as their length and their bytes.
#pragma once
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const uint32_t hash_start = 2166136261u;

static inline uint32_t hash_word(uint32_t state, uint32_t word) { return (state ^ word) * 16777619u; }
static inline uint32_t hash_null(uint32_t state) { return hash_word(state, 0x6e756c6c); }
static inline uint32_t hash_64(uint32_t state, const void *value) {
  uint32_t words[2];
  memcpy(words, value, 8);
  return hash_word(hash_word(state, words[0]), words[1]);
}
static inline uint32_t hash_text(uint32_t state, const char *text, int32_t bytes) {
  state = hash_word(state, (uint32_t)bytes);
  for (int32_t i = 0; i < bytes; i++) state = hash_word(state, (uint8_t)text[i]);
  return state;
}
static inline void print_hashes(int64_t rows, const uint32_t *states, int columns) {
  printf("%" PRId64, rows);
  for (int c = 0; c < columns; c++) printf("%c%08x", c == 0 ? ':' : ',', states[c]);
}
