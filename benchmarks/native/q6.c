// TPC-H Q6 over narrow columns (T_*: their types as the dataset stores them), branch-free: the compiler vectorizes it.
#include "native.h"
static T_shipdate *ship; static T_discount *discount; static T_quantity *quantity; static T_price *price;
static size_t rows;
static int64_t revenue;

static void setup(int argc, char **argv) {
  (void)argc;
  size_t bytes;
  ship = load(argv[1], "l_shipdate", &bytes);
  rows = bytes / sizeof *ship;
  discount = load(argv[1], "l_discount", &bytes);
  quantity = load(argv[1], "l_quantity", &bytes);
  price = load(argv[1], "l_extendedprice", &bytes);
}
static void run(void) {
  int64_t sum = 0;
  for (size_t i = 0; i < rows; i++) {
    int keep = (ship[i] >= 8766) & (ship[i] < 9131) & (discount[i] >= 5) & (discount[i] <= 7) & (quantity[i] < 2400);
    sum += (int64_t)(keep ? (int32_t)price[i] * (int32_t)discount[i] : 0);
  }
  revenue = sum;
}
static void print_result(void) { printf("%" PRId64, revenue); }
