// kernels/downscale in C: sums and counts of blocks of factor x factor pixels, then their means, halves away from zero.
// Arguments: folder, factor, width, height.
#include "native.h"
#include "row-hash.h"

typedef struct { int64_t n, r, g, b; } Block;
typedef struct { int32_t y, x, r, g, b; } Pixel;

static T_y *ys;
static T_x *xs;
static T_r *reds;
static T_g *greens;
static T_b *blues;
static int64_t rows, given;
static int32_t factor, across, down;
static Block *blocks;
static Pixel *pixels;

static void setup(int argc, char **argv) {
  (void)argc;
  size_t bytes;
  ys = load(argv[1], "y", &bytes);
  rows = (int64_t)(bytes / sizeof *ys);
  xs = load(argv[1], "x", &bytes);
  reds = load(argv[1], "r", &bytes);
  greens = load(argv[1], "g", &bytes);
  blues = load(argv[1], "b", &bytes);
  factor = atoi(argv[2]);
  across = (atoi(argv[3]) + factor - 1) / factor;
  down = (atoi(argv[4]) + factor - 1) / factor;
  blocks = malloc((size_t)across * (size_t)down * sizeof *blocks);
  pixels = malloc((size_t)across * (size_t)down * sizeof *pixels);
}

static int32_t mean(int64_t sum, int64_t n) { return (int32_t)((2 * sum + n) / (2 * n)); }

static void run(void) {
  memset(blocks, 0, (size_t)across * (size_t)down * sizeof *blocks);
  for (int64_t i = 0; i < rows; i++) {
    Block *block = &blocks[(int64_t)(ys[i] / factor) * across + xs[i] / factor];
    block->n++;
    block->r += reds[i];
    block->g += greens[i];
    block->b += blues[i];
  }
  given = 0;
  for (int32_t y = 0; y < down; y++)
    for (int32_t x = 0; x < across; x++) {
      const Block *block = &blocks[(int64_t)y * across + x];
      if (block->n > 0) pixels[given++] = (Pixel){y, x, mean(block->r, block->n), mean(block->g, block->n), mean(block->b, block->n)};
    }
}

static void print_result(void) {
  uint32_t hashes[5] = {hash_start, hash_start, hash_start, hash_start, hash_start};
  for (int64_t i = 0; i < given; i++) {
    const int32_t values[5] = {pixels[i].y, pixels[i].x, pixels[i].r, pixels[i].g, pixels[i].b};
    for (int c = 0; c < 5; c++) hashes[c] = hash_word(hashes[c], (uint32_t)values[c]);
  }
  print_hashes(given, hashes, 5);
}
