#include "millrace.h"

// The k rows nearest to a query vector, by Euclidean or cosine distance. Each dimension is a column of float32, so that a block of
// rows is worked on one dimension after another, in vectors. Every row group gives its k best; merge keeps the best of those.
enum { K_MAX = 4096, DIMENSIONS_MAX = 1024, BLOCK = 1024 };

static float query[DIMENSIONS_MAX];
static int dimensions, k;
static bool cosine;
static double query_norm;
static const char *said;

const char *MR_EXPORT(error_text)(void) { return said ? said : ""; }

int MR_EXPORT(configure)(const char *params, int bytes) {
  int length = 0;
  const char *list = mr_param(params, bytes, "query", &length);
  if (!list || length == 0) { said = "knn needs the parameter query: numbers with commas between them"; return 1; }
  for (int at = 0; at <= length;) {
    int end = at;
    while (end < length && list[end] != ',') end++;
    if (dimensions == DIMENSIONS_MAX) { said = "a query has at most 1024 dimensions"; return 1; }
    query[dimensions++] = (float)mr_number(list + at, end - at);
    at = end + 1;
  }
  k = (int)mr_param_number(params, bytes, "k", 10);
  if (k < 1 || k > K_MAX) { said = "k is from 1 to 4096"; return 1; }
  int metric_length = 0;
  const char *metric = mr_param(params, bytes, "metric", &metric_length);
  cosine = metric && metric_length == 6 && memcmp(metric, "cosine", 6) == 0;
  if (metric && !cosine && !(metric_length == 2 && memcmp(metric, "l2", 2) == 0)) { said = "metric is l2 or cosine"; return 1; }
  float sum = 0;
  for (int d = 0; d < dimensions; d++) sum += query[d] * query[d];
  query_norm = __builtin_sqrt((double)sum);
  return 0;
}

const MrSchema *MR_EXPORT(input_schema)(void) { MR_SCHEMA({"id", "l"}, {"v...", "f"}); }
const MrSchema *MR_EXPORT(schema)(void) { MR_SCHEMA({"id", "l"}, {"distance", "g"}); }

// The best so far, as a heap whose first is the worst of them; ties go to who came first.
typedef struct { double distance; int64_t id; int64_t sequence; } Best;
static Best heap[K_MAX];
static int kept;
static int64_t sequence;

static bool worse(const Best *a, const Best *b) { return a->distance > b->distance || (a->distance == b->distance && a->sequence > b->sequence); }

static void sink(int at, int count) {
  Best moved = heap[at];
  for (int child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && worse(&heap[child + 1], &heap[child])) child++;
    if (!worse(&heap[child], &moved)) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

static void offer(int64_t id, double distance) {
  Best best = {distance, id, sequence++};
  if (kept == k) {
    if (!worse(&heap[0], &best)) return;
    heap[0] = best;
    sink(0, kept);
    return;
  }
  int at = kept++;
  for (int parent; at > 0 && worse(&best, &heap[parent = (at - 1) / 2]); at = parent) heap[at] = heap[parent];
  heap[at] = best;
}

static MrOut out_id = {.name = "id", .format = "l"}, out_distance = {.name = "distance", .format = "g"};
static MrOut *columns[] = {&out_id, &out_distance};
static bool made;

void MR_EXPORT(reset)(void) {
  if (!made) {
    mr_out_init(&out_id, K_MAX, 0);
    mr_out_init(&out_distance, K_MAX, 0);
    made = true;
  }
  kept = 0;
  sequence = 0;
}

static int give(MrArray *out) {
  mr_out_clear(&out_id);
  mr_out_clear(&out_distance);
  for (int count = kept; count > 1; count--) {
    Best last = heap[count - 1];
    heap[count - 1] = heap[0];
    heap[0] = last;
    sink(0, count - 1);
  }
  for (int i = 0; i < kept; i++) {
    mr_push_i64(&out_id, heap[i].id);
    mr_push_f64(&out_distance, heap[i].distance);
  }
  return mr_give(out, columns, 2, MR_GIVE);
}

static float sums[BLOCK], norms[BLOCK];

static void add_squares(const float *restrict x, float q, int rows) {
  for (int i = 0; i < rows; i++) { float d = x[i] - q; sums[i] += d * d; }
}
static void add_products(const float *restrict x, float q, int rows) {
  for (int i = 0; i < rows; i++) { sums[i] += x[i] * q; norms[i] += x[i] * x[i]; }
}

int MR_EXPORT(process)(const MrArray *in, MrArray *out) {
  (void)out;
  if ((int)in->n_children != dimensions + 1) return MR_BAD_INPUT;
  MrColumn ids = mr_column(in, 0);
  int rows = (int)in->length;
  for (int base = 0; base < rows; base += BLOCK) {
    int count = rows - base < BLOCK ? rows - base : BLOCK;
    for (int i = 0; i < count; i++) sums[i] = norms[i] = 0;
    for (int d = 0; d < dimensions; d++) {
      const float *x = mr_f32(mr_column(in, d + 1)) + base;
      if (cosine) add_products(x, query[d], count);
      else add_squares(x, query[d], count);
    }
    for (int i = 0; i < count; i++) {
      bool null = false;
      for (int c = 0; c <= dimensions && !null; c++) null = mr_is_null(mr_column(in, c), base + i);
      // A row without one of its values, or one that is no number, is near to nothing.
      double distance = cosine ? 1 - (double)sums[i] / (query_norm * __builtin_sqrt((double)norms[i])) : __builtin_sqrt((double)sums[i]);
      if (!null && distance == distance) offer(mr_i64(ids)[base + i], distance);
    }
  }
  return MR_NOTHING;
}

int MR_EXPORT(finish)(MrArray *out) { return give(out); }

int MR_EXPORT(merge)(const MrArray *in, MrArray *out) {
  (void)out;
  MrColumn ids = mr_column(in, 0), distances = mr_column(in, 1);
  for (int i = 0; i < (int)in->length; i++) offer(mr_i64(ids)[i], mr_f64(distances)[i]);
  return MR_NOTHING;
}

int MR_EXPORT(finish_merge)(MrArray *out) { return give(out); }
