// Runs an example kernel's own C (linked with it) over columns in row groups, and its merge where it has one.
// Arguments: folder, rows, rows of a row group, a file of parameters, columns as NAME:FORMAT (u, l or f).
#include <stdbool.h>
#include "native.h"
#include "row-hash.h"
typedef struct Array {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct Array **children;
  void *dictionary;
  uint32_t release, private_data;
} Array;
int configure(const char *params, int bytes);
void reset(void);
int process(const Array *in, Array *out);
__attribute__((weak)) int finish(Array *out);
__attribute__((weak)) int merge(const Array *in, Array *out);
__attribute__((weak)) int finish_merge(Array *out);

enum { COLUMNS = 64, PARTIALS = 1 << 20 };
static int columns;
static char formats[COLUMNS];
static void *first[COLUMNS], *second[COLUMNS];
static int64_t rows, group;
static int64_t partial[2][PARTIALS];
static int64_t partials;

// What the kernel gave, kept as a slot's frames keep it; hashed when the clock does not run.
typedef struct { void *at; size_t used, room; } Store;
typedef struct { Store valid, values, lengths; bool text; } Output;
static Output outputs[COLUMNS];
static int64_t given;
static int output_columns;

static void *room_for(Store *store, size_t bytes) {
  if (store->used + bytes > store->room) {
    store->room = (store->used + bytes) * 2;
    store->at = realloc(store->at, store->room);
  }
  store->used += bytes;
  return (char *)store->at + store->used - bytes;
}
static void take(const Array *out) {
  output_columns = (int)out->n_children;
  for (int c = 0; c < output_columns; c++) {
    const Array *child = out->children[c];
    const uint8_t *validity = child->buffers[0];
    uint8_t *valid = room_for(&outputs[c].valid, (size_t)out->length);
    for (int64_t row = 0; row < out->length; row++) valid[row] = !validity || ((validity[row >> 3] >> (row & 7)) & 1);
    outputs[c].text = child->n_buffers == 3;
    if (outputs[c].text) {
      const int32_t *offsets = child->buffers[1];
      const size_t bytes = (size_t)(offsets[out->length] - offsets[0]);
      memcpy(room_for(&outputs[c].values, bytes), (const char *)child->buffers[2] + offsets[0], bytes);
      int32_t *lengths = room_for(&outputs[c].lengths, (size_t)out->length * sizeof *lengths);
      for (int64_t row = 0; row < out->length; row++) lengths[row] = offsets[row + 1] - offsets[row];
    } else memcpy(room_for(&outputs[c].values, (size_t)out->length * 8), child->buffers[1], (size_t)out->length * 8);
  }
  given += out->length;
}
static void keep(const Array *out) {
  if (!merge) { take(out); return; }
  for (int64_t row = 0; row < out->length && partials < PARTIALS; row++, partials++)
    for (int c = 0; c < 2; c++) partial[c][partials] = ((const int64_t *)out->children[c]->buffers[1])[row];
}

static void setup(int argc, char **argv) {
  rows = atoll(argv[2]);
  group = atoll(argv[3]);
  size_t bytes;
  char *params = load("/", argv[4] + 1, &bytes);
  for (int i = 5; i < argc && columns < COLUMNS; i++, columns++) {
    char *format = strchr(argv[i], ':'), name[256];
    *format = 0;
    formats[columns] = format[1];
    size_t ignored;
    snprintf(name, sizeof name, "%s", argv[i]);
    first[columns] = load(argv[1], name, &ignored);
    if (format[1] == 'u') {
      snprintf(name, sizeof name, "%s.text", argv[i]);
      second[columns] = load(argv[1], name, &ignored);
    }
  }
  if (configure(params, (int)bytes) != 0) { fprintf(stderr, "the kernel refuses its parameters\n"); exit(1); }
}

static void run(void) {
  given = partials = 0;
  for (int c = 0; c < COLUMNS; c++) outputs[c].valid.used = outputs[c].values.used = outputs[c].lengths.used = 0;
  static Array children[COLUMNS], in, out;
  static Array *list[COLUMNS];
  static const void *buffers[COLUMNS][3];
  for (int64_t from = 0; from < rows; from += group) {
    int64_t count = rows - from < group ? rows - from : group;
    reset();
    for (int c = 0; c < columns; c++) {
      buffers[c][1] = (const char *)first[c] + from * (formats[c] == 'l' ? 8 : 4);
      buffers[c][2] = second[c];
      children[c] = (Array){.length = count, .n_buffers = formats[c] == 'u' ? 3 : 2, .buffers = buffers[c]};
      list[c] = &children[c];
    }
    in = (Array){.length = count, .n_buffers = 1, .n_children = columns, .children = list};
    int status = process(&in, &out);
    for (;; status = process(NULL, &out)) {
      if (status < 0) { fprintf(stderr, "the kernel returned %d\n", status); exit(1); }
      if (status & 1) keep(&out);
      if (status & 2) break;
    }
    if (finish && (finish(&out) & 1)) keep(&out);
  }
  if (!merge) return;
  reset();
  for (int c = 0; c < 2; c++) {
    buffers[c][1] = partial[c];
    children[c] = (Array){.length = partials, .n_buffers = 2, .buffers = buffers[c]};
    list[c] = &children[c];
  }
  in = (Array){.length = partials, .n_buffers = 1, .n_children = 2, .children = list};
  merge(&in, &out);
  if (finish_merge(&out) & 1) take(&out);
}
static void print_result(void) {
  uint32_t hashes[COLUMNS];
  for (int c = 0; c < output_columns; c++) {
    const Output *o = &outputs[c];
    const char *value = o->values.at;
    hashes[c] = hash_start;
    for (int64_t row = 0; row < given; row++) {
      const int32_t bytes = o->text ? ((const int32_t *)o->lengths.at)[row] : 8;
      if (!((const uint8_t *)o->valid.at)[row]) hashes[c] = hash_null(hashes[c]);
      else hashes[c] = o->text ? hash_text(hashes[c], value, bytes) : hash_64(hashes[c], value);
      value += bytes;
    }
  }
  print_hashes(given, hashes, output_columns);
}
