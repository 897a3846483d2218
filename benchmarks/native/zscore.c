// kernels/zscore in C: one pass with Welford's state and the `keep` most extreme rows of each end per row group, then the join of the
// states (Chan et al.). Arguments: folder, rows of a row group, threshold.
#include <math.h>
#include <stdbool.h>
#include "native.h"
#include "row-hash.h"

enum { KEEP = 256 };
typedef struct { int64_t id; double x; int32_t row; } Candidate;
typedef struct { Candidate rows[KEEP]; int count, worst; bool high; } Extremes;
typedef struct { int64_t n; double mean, m2, low_end, high_end; } State;
typedef struct { int64_t id; double x, z; } Anomaly;

static T_id *ids;
static double *xs;
static int64_t rows, group;
static double threshold;
static State *states;
static Candidate *candidates;
static int64_t candidate_count, anomaly_count;
static Anomaly *anomalies;

static void setup(int argc, char **argv) {
  (void)argc;
  size_t bytes;
  ids = load(argv[1], "id", &bytes);
  xs = load(argv[1], "x", &bytes);
  rows = (int64_t)(bytes / sizeof *xs);
  group = atoll(argv[2]);
  threshold = atof(argv[3]);
  const size_t groups = (size_t)((rows + group - 1) / group);
  states = malloc(groups * sizeof *states);
  candidates = malloc(groups * 2 * KEEP * sizeof *candidates);
  anomalies = malloc(groups * 2 * KEEP * sizeof *anomalies);
}

static bool beyond(const Extremes *e, double a, double b) { return e->high ? a > b : a < b; }
static void find_worst(Extremes *e) {
  e->worst = 0;
  for (int i = 1; i < e->count; i++)
    if (beyond(e, e->rows[e->worst].x, e->rows[i].x)) e->worst = i;
}
static inline void offer(Extremes *e, int64_t id, double x, int32_t row) {
  if (e->count == KEEP && !beyond(e, x, e->rows[e->worst].x)) return;
  e->rows[e->count < KEEP ? e->count++ : e->worst] = (Candidate){id, x, row};
  if (e->count == KEEP) find_worst(e);
}
static int by_row(const void *a, const void *b) { return ((const Candidate *)a)->row - ((const Candidate *)b)->row; }

static State scan_group(int64_t from, int64_t to) {
  static Extremes low, high;
  low = (Extremes){.high = false};
  high = (Extremes){.high = true};
  State s = {0};
  for (int64_t i = from; i < to; i++) {
    const double x = xs[i];
    if (x != x) continue;
    s.n++;
    const double delta = x - s.mean;
    s.mean += delta / (double)s.n;
    s.m2 += delta * (x - s.mean);
    offer(&low, ids[i], x, (int32_t)(i - from));
    offer(&high, ids[i], x, (int32_t)(i - from));
  }
  s.low_end = low.count < KEEP ? NAN : low.rows[low.worst].x;
  s.high_end = high.count < KEEP ? NAN : high.rows[high.worst].x;
  Candidate both[2 * KEEP];
  memcpy(both, low.rows, (size_t)low.count * sizeof *both);
  memcpy(both + low.count, high.rows, (size_t)high.count * sizeof *both);
  qsort(both, (size_t)(low.count + high.count), sizeof *both, by_row);
  for (int i = 0; i < low.count + high.count; i++)
    if (i == 0 || both[i].row != both[i - 1].row) candidates[candidate_count++] = both[i];
  return s;
}

static void run(void) {
  candidate_count = anomaly_count = 0;
  int64_t groups = 0;
  for (int64_t from = 0; from < rows; from += group) states[groups++] = scan_group(from, rows - from < group ? rows : from + group);
  State all = {0};
  for (int64_t g = 0; g < groups; g++) {
    const State *s = &states[g];
    if (s->n == 0) continue;
    const double delta = s->mean - all.mean;
    const int64_t total = all.n + s->n;
    all.mean += delta * ((double)s->n / (double)total);
    all.m2 += s->m2 + delta * delta * ((double)all.n * (double)s->n / (double)total);
    all.n = total;
  }
  const double deviation = sqrt(all.m2 / (double)all.n);
  for (int64_t g = 0; g < groups; g++)
    if ((states[g].low_end - all.mean) / deviation < -threshold || (states[g].high_end - all.mean) / deviation > threshold) exit(16);
  for (int64_t i = 0; i < candidate_count; i++) {
    const double z = (candidates[i].x - all.mean) / deviation;
    if (fabs(z) > threshold) anomalies[anomaly_count++] = (Anomaly){candidates[i].id, candidates[i].x, z};
  }
}

static void print_result(void) {
  uint32_t hashes[3] = {hash_start, hash_start, hash_start};
  for (int64_t i = 0; i < anomaly_count; i++) {
    hashes[0] = hash_64(hashes[0], &anomalies[i].id);
    hashes[1] = hash_64(hashes[1], &anomalies[i].x);
    hashes[2] = hash_64(hashes[2], &anomalies[i].z);
  }
  print_hashes(anomaly_count, hashes, 3);
}
