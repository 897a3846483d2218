// TPC-H Q1: six groups by codes, exact sums.
#include "native.h"
static T_shipdate *ship; static T_discount *discount; static T_quantity *quantity; static T_price *price; static T_tax *tax;
static int8_t *flag, *status;
static size_t rows;
typedef struct { int64_t quantity, price, discounted, charge, count; } Group;
static Group groups[16];

static void setup(int argc, char **argv) {
  (void)argc;
  size_t bytes;
  ship = load(argv[1], "l_shipdate", &bytes);
  rows = bytes / sizeof *ship;
  discount = load(argv[1], "l_discount", &bytes);
  quantity = load(argv[1], "l_quantity", &bytes);
  price = load(argv[1], "l_extendedprice", &bytes);
  tax = load(argv[1], "l_tax", &bytes);
  flag = load(argv[1], "l_returnflag", &bytes);
  status = load(argv[1], "l_linestatus", &bytes);
}
static void run(void) {
  memset(groups, 0, sizeof groups);
  for (size_t i = 0; i < rows; i++) {
    if (ship[i] > 10471) continue;
    Group *g = &groups[(flag[i] * 2 + status[i]) & 15];
    int64_t discounted = (int64_t)price[i] * (100 - discount[i]);
    g->quantity += quantity[i];
    g->price += price[i];
    g->discounted += discounted;
    g->charge += discounted * (100 + tax[i]);
    g->count++;
  }
}
static void print_result(void) {
  for (int i = 0; i < 16; i++)
    if (groups[i].count) printf("%d:%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ";", i, groups[i].quantity, groups[i].price, groups[i].discounted, groups[i].charge, groups[i].count);
}
