// Columns in and out for kernels in C: the Arrow C Data Interface as Millrace lays it into a kernel's memory (docs/kernels.md).
// Header only, no libc. Memory is what millrace.json declares (memoryPages x 64 KiB): static data, a stack of 64 KiB, and the rest
// for mr_take(), which is never given back before mr_take_reset().
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Makes a function one that the host or a query calls. Compiled for another machine (to measure against), it is a function like others.
// What a scalar function returns that gives text: UTF-8 bytes of its own or of an argument. They are copied before the next call.
static inline uint64_t mr_give_text(const char *at, int bytes) { return (uint64_t)(uint32_t)bytes << 32 | (uint32_t)(uintptr_t)at; }

#ifdef __wasm__
#define MR_EXPORT(name) __attribute__((export_name(#name))) name
#else
#define MR_EXPORT(name) name
#endif

// What process(), finish(), merge() and finish_merge() return.
#define MR_GIVE 3     // the batch at `out` is ready, the input is used up
#define MR_MORE 1     // the batch at `out` is ready, call again
#define MR_NOTHING 2  // nothing to give yet, the input is used up
#define MR_OVERFLOW (-1)
#define MR_BAD_INPUT (-2)
#define MR_OUT_OF_MEMORY (-3)

typedef struct MrArray {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct MrArray **children;
  void *dictionary;
  uint32_t release, private_data;
} MrArray;
#ifdef __wasm__
_Static_assert(sizeof(MrArray) == 64, "ArrowArray with 32-bit pointers");
#endif

typedef struct MrSchema {
  const char *format, *name, *metadata;
#ifdef __wasm__
  uint32_t pad;
#endif
  int64_t flags, n_children;
  struct MrSchema **children;
  void *dictionary;
  uint32_t release, private_data;
} MrSchema;
#ifdef __wasm__
_Static_assert(sizeof(MrSchema) == 48, "ArrowSchema with 32-bit pointers");
#endif

// One column of an input batch.
typedef struct { const uint8_t *validity; const void *data; const char *text; } MrColumn;

static inline MrColumn mr_column(const MrArray *batch, int index) {
  const MrArray *array = batch->children[index];
  MrColumn c = {(const uint8_t *)array->buffers[0], array->buffers[1], array->n_buffers > 2 ? (const char *)array->buffers[2] : NULL};
  return c;
}
static inline bool mr_is_null(MrColumn c, int row) { return c.validity && !((c.validity[row >> 3] >> (row & 7)) & 1); }
static inline bool mr_bool(MrColumn c, int row) { return (((const uint8_t *)c.data)[row >> 3] >> (row & 7)) & 1; }
static inline const int8_t *mr_i8(MrColumn c) { return (const int8_t *)c.data; }
static inline const int16_t *mr_i16(MrColumn c) { return (const int16_t *)c.data; }
static inline const int32_t *mr_i32(MrColumn c) { return (const int32_t *)c.data; }
static inline const int64_t *mr_i64(MrColumn c) { return (const int64_t *)c.data; }
static inline const float *mr_f32(MrColumn c) { return (const float *)c.data; }
static inline const double *mr_f64(MrColumn c) { return (const double *)c.data; }
// Bytes of a text, which does not end with a zero.
static inline const char *mr_text(MrColumn c, int row, int *bytes) {
  const int32_t *offsets = (const int32_t *)c.data;
  *bytes = offsets[row + 1] - offsets[row];
  return c.text + offsets[row];
}

#ifdef __wasm__
// What clang may call without being told to.
typedef struct __attribute__((packed)) { uint64_t v; } MrWord;
__attribute__((weak)) void *memcpy(void *to, const void *from, size_t n) {
  uint8_t *t = to; const uint8_t *f = from;
  for (; n >= 8; n -= 8, t += 8, f += 8) ((MrWord *)t)->v = ((const MrWord *)f)->v;
  while (n--) *t++ = *f++;
  return to;
}
__attribute__((weak)) void *memset(void *to, int value, size_t n) { uint8_t *t = to; while (n--) *t++ = (uint8_t)value; return to; }
__attribute__((weak)) void *memmove(void *to, const void *from, size_t n) {
  uint8_t *t = to; const uint8_t *f = from;
  if (t < f) while (n--) *t++ = *f++; else while (n--) t[n] = f[n];
  return to;
}
__attribute__((weak)) int memcmp(const void *a, const void *b, size_t n) {
  const uint8_t *x = a, *y = b;
  for (; n--; x++, y++) if (*x != *y) return *x - *y;
  return 0;
}
__attribute__((weak)) size_t strlen(const char *s) { const char *e = s; while (*e) e++; return (size_t)(e - s); }

extern uint8_t __heap_base;
#define MR_HEAP (&__heap_base)
#define MR_HEAP_END ((size_t)__builtin_wasm_memory_size(0) << 16)
#else
#include <string.h>
static uint8_t mr_heap[64 << 20];
#define MR_HEAP mr_heap
#define MR_HEAP_END ((size_t)mr_heap + sizeof mr_heap)
#endif

// Memory behind the static data, bump by bump.
static uint8_t *mr_taken = MR_HEAP;
static inline void *mr_take(size_t bytes) {
  uint8_t *at = (uint8_t *)(((size_t)mr_taken + 15) & ~(size_t)15);
  size_t end = MR_HEAP_END;
  if (bytes > end || (size_t)at > end - bytes) __builtin_trap();
  mr_taken = at + bytes;
  return at;
}
static inline void mr_take_reset(void) { mr_taken = MR_HEAP; }
// Export it as heap_top() where the kernel has no reset(): then only memory that was written is cleared between row groups.
static inline uint32_t mr_heap_top(void) { return (uint32_t)(size_t)mr_taken; }

// A column of the output: an array of room for `capacity` rows, filled row by row.
typedef struct {
  const char *name, *format;
  uint8_t *validity;
  void *data;
  int32_t *offsets;
  int capacity, rows, nulls, text_capacity;
  MrArray array;
  const void *buffers[3];
} MrOut;

static inline int mr_width(const char *format) {
  switch (format[0]) { case 'c': return 1; case 's': return 2; case 'i': case 'f': return 4; case 'l': case 'g': return 8; default: return 0; }
}
static inline void mr_out_init(MrOut *o, int capacity, int text_capacity) {
  o->capacity = capacity; o->rows = 0; o->nulls = 0; o->text_capacity = text_capacity;
  o->validity = mr_take((size_t)capacity / 8 + 1);
  bool text = o->format[0] == 'u';
  o->offsets = text ? mr_take(((size_t)capacity + 1) * 4) : NULL;
  if (text) o->offsets[0] = 0;
  o->data = mr_take(text ? (size_t)text_capacity : o->format[0] == 'b' ? (size_t)capacity / 8 + 1 : (size_t)capacity * (size_t)mr_width(o->format));
}
static inline void mr_out_clear(MrOut *o) { o->rows = 0; o->nulls = 0; }
static inline void mr_valid(MrOut *o, bool valid) {
  int row = o->rows++;
  if ((row & 7) == 0) o->validity[row >> 3] = 0;
  if (valid) o->validity[row >> 3] |= (uint8_t)(1 << (row & 7)); else o->nulls++;
}
static inline void mr_push_bool(MrOut *o, bool v) {
  uint8_t *bits = o->data; int row = o->rows;
  if ((row & 7) == 0) bits[row >> 3] = 0;
  if (v) bits[row >> 3] |= (uint8_t)(1 << (row & 7));
  mr_valid(o, true);
}
static inline void mr_push_i32(MrOut *o, int32_t v) { ((int32_t *)o->data)[o->rows] = v; mr_valid(o, true); }
static inline void mr_push_i64(MrOut *o, int64_t v) { ((int64_t *)o->data)[o->rows] = v; mr_valid(o, true); }
static inline void mr_push_f32(MrOut *o, float v) { ((float *)o->data)[o->rows] = v != v ? __builtin_nanf("") : v; mr_valid(o, true); }
static inline void mr_push_f64(MrOut *o, double v) { ((double *)o->data)[o->rows] = v != v ? __builtin_nan("") : v; mr_valid(o, true); }
static inline bool mr_text_fits(const MrOut *o, int bytes) { return bytes <= o->text_capacity - o->offsets[o->rows]; }
static inline void mr_push_text(MrOut *o, const char *text, int bytes) {
  if (!mr_text_fits(o, bytes)) __builtin_trap();
  int at = o->offsets[o->rows];
  memcpy((char *)o->data + at, text, (size_t)bytes);
  o->offsets[o->rows + 1] = at + bytes;
  mr_valid(o, true);
}
static inline void mr_push_null(MrOut *o) {
  int row = o->rows;
  if (o->format[0] == 'u') o->offsets[row + 1] = o->offsets[row];
  else if (o->format[0] == 'b') { if ((row & 7) == 0) ((uint8_t *)o->data)[row >> 3] = 0; }
  else memset((uint8_t *)o->data + row * mr_width(o->format), 0, (size_t)mr_width(o->format));
  mr_valid(o, false);
}
static inline bool mr_full(const MrOut *o) { return o->rows >= o->capacity; }

// Puts the columns' rows out; MR_NOTHING when there are none. They stay untouched until the next call.
static inline int mr_give(MrArray *out, MrOut **columns, int count, int status) {
  static const void *none[1] = {NULL};
  static MrArray *children[64];
  int rows = count ? columns[0]->rows : 0;
  if (rows == 0) return MR_NOTHING;
  for (int i = 0; i < count; i++) {
    MrOut *o = columns[i];
    bool text = o->format[0] == 'u';
    o->buffers[0] = o->nulls ? o->validity : NULL;
    o->buffers[1] = text ? (void *)o->offsets : o->data;
    o->buffers[2] = text ? o->data : NULL;
    o->array = (MrArray){.length = rows, .null_count = o->nulls, .n_buffers = text ? 3 : 2, .buffers = o->buffers};
    children[i] = &o->array;
  }
  *out = (MrArray){.length = rows, .n_buffers = 1, .n_children = count, .buffers = none, .children = children};
  return status;
}

// Schemas: {name, format} per column.
typedef struct { const char *name, *format; } MrField;
static inline const MrSchema *mr_schema(MrSchema *root, MrSchema *fields, MrSchema **list, const MrField *columns, int count) {
  for (int i = 0; i < count; i++) {
    fields[i] = (MrSchema){.format = columns[i].format, .name = columns[i].name, .flags = 2};
    list[i] = &fields[i];
  }
  *root = (MrSchema){.format = "+s", .name = "", .n_children = count, .children = list};
  return root;
}
// The body of schema(), input_schema() or result_schema(): MR_SCHEMA({"id", "l"}, {"distance", "g"})
#define MR_SCHEMA(...)                                                                        \
  static const MrField columns_[] = {__VA_ARGS__};                                            \
  enum { count_ = sizeof(columns_) / sizeof(columns_[0]) };                                   \
  static MrSchema root_, fields_[count_];                                                     \
  static MrSchema *list_[count_];                                                             \
  return mr_schema(&root_, fields_, list_, columns_, count_)

// Parameters: configure() gets lines `name=value`. NULL: it is not there.
static inline const char *mr_param(const char *params, int bytes, const char *name, int *length) {
  int name_length = (int)strlen(name);
  for (int at = 0; at < bytes;) {
    int end = at;
    while (end < bytes && params[end] != '\n') end++;
    if (end - at > name_length && memcmp(params + at, name, (size_t)name_length) == 0 && params[at + name_length] == '=') {
      *length = end - at - name_length - 1;
      return params + at + name_length + 1;
    }
    at = end + 1;
  }
  return NULL;
}
// A decimal number with sign, point and exponent; the digits are summed in double: exact up to 15 of them.
static inline double mr_number(const char *text, int length) {
  double value = 0, scale = 1;
  int at = 0, exponent = 0;
  bool negative = length > 0 && text[0] == '-';
  if (length > 0 && (text[0] == '-' || text[0] == '+')) at++;
  for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) value = value * 10 + (text[at] - '0');
  if (at < length && text[at] == '.') for (at++; at < length && text[at] >= '0' && text[at] <= '9'; at++) { value = value * 10 + (text[at] - '0'); scale *= 10; }
  if (at < length && (text[at] | 32) == 'e') {
    bool down = at + 1 < length && text[at + 1] == '-';
    for (at += 1 + (at + 1 < length && (text[at + 1] == '-' || text[at + 1] == '+')); at < length && text[at] >= '0' && text[at] <= '9'; at++) exponent = exponent * 10 + (text[at] - '0');
    for (; exponent > 0 && exponent < 400; exponent--) { if (down) scale *= 10; else value *= 10; }
  }
  value /= scale;
  return negative ? -value : value;
}
static inline double mr_param_number(const char *params, int bytes, const char *name, double otherwise) {
  int length;
  const char *text = mr_param(params, bytes, name, &length);
  return text && length > 0 ? mr_number(text, length) : otherwise;
}
