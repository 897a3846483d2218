// A filter to four columns: rows whose part key lies below a bound.
#include "native.h"
static T_partkey *part; static T_orderkey *order; static T_price *price; static T_discount *discount; static T_shipdate *ship;
static size_t rows;
static int64_t below;
static T_orderkey *out_order; static T_price *out_price; static T_discount *out_discount; static T_shipdate *out_ship;
static uint64_t count, sums[4];

static void setup(int argc, char **argv) {
  (void)argc;
  size_t bytes;
  part = load(argv[1], "l_partkey", &bytes);
  rows = bytes / sizeof *part;
  order = load(argv[1], "l_orderkey", &bytes);
  price = load(argv[1], "l_extendedprice", &bytes);
  discount = load(argv[1], "l_discount", &bytes);
  ship = load(argv[1], "l_shipdate", &bytes);
  below = atoll(argv[2]);
  // The whole result is kept, as our client keeps it.
  out_order = malloc((rows + 1) * sizeof *out_order);
  out_price = malloc((rows + 1) * sizeof *out_price);
  out_discount = malloc((rows + 1) * sizeof *out_discount);
  out_ship = malloc((rows + 1) * sizeof *out_ship);
}
static void run(void) {
  size_t k = 0;
  for (size_t i = 0; i < rows; i++) {
    out_order[k] = order[i];
    out_price[k] = price[i];
    out_discount[k] = discount[i];
    out_ship[k] = ship[i];
    k += part[i] < below;
  }
  count = k;
}
static void print_result(void) {
  memset(sums, 0, sizeof sums);
  for (size_t i = 0; i < count; i++) {
    sums[0] += (uint64_t)(int64_t)out_order[i];
    sums[1] += (uint64_t)(int64_t)out_price[i];
    sums[2] += (uint64_t)(int64_t)out_discount[i];
    sums[3] += (uint64_t)(int64_t)out_ship[i];
  }
  printf("%" PRIu64 ":%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, count, sums[0], sums[1], sums[2], sums[3]);
}
