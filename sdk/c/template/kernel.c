#include "millrace.h"

// A scalar function: `SELECT ... WHERE keep(delay, distance)` in SQL, `udf('keep', col('delay'), col('distance'))` in a program.
bool MR_EXPORT(keep)(double a, double b) { return a > b; }

// What follows is a batch kernel: batches of columns in, batches of other columns out. Here: texts longer than `least` characters.
static int least;

// Parameters, `millrace kernel run ... --param least=10`. 0: they are fine.
int MR_EXPORT(configure)(const char *params, int bytes) {
  least = (int)mr_param_number(params, bytes, "least", 0);
  return 0;
}

// The columns this kernel takes and gives.
const MrSchema *MR_EXPORT(input_schema)(void) { MR_SCHEMA({"text", "u"}); }
const MrSchema *MR_EXPORT(schema)(void) { MR_SCHEMA({"text", "u"}, {"length", "i"}); }

static MrOut text = {.format = "u"}, length = {.format = "i"};
static MrOut *columns[] = {&text, &length};
static MrColumn texts;
static int rows, next;
static bool made;

void MR_EXPORT(reset)(void) {
  if (made) return;
  mr_out_init(&text, 8192, 256 * 1024);
  mr_out_init(&length, 8192, 0);
  made = true;
}

static int characters(const char *utf8, int bytes) {
  int count = 0;
  for (int i = 0; i < bytes; i++) count += (utf8[i] & 0xc0) != 0x80;
  return count;
}

// `in` is NULL when the batch before was not used up: the output was full.
int MR_EXPORT(process)(const MrArray *in, MrArray *out) {
  if (in) {
    texts = mr_column(in, 0);
    rows = (int)in->length;
    next = 0;
  }
  mr_out_clear(&text);
  mr_out_clear(&length);
  for (; next < rows; next++) {
    if (mr_is_null(texts, next)) continue;
    int bytes;
    const char *utf8 = mr_text(texts, next, &bytes);
    int count = characters(utf8, bytes);
    if (count < least) continue;
    if (bytes > text.text_capacity) return MR_OUT_OF_MEMORY;
    if (mr_full(&text) || !mr_text_fits(&text, bytes)) return mr_give(out, columns, 2, MR_MORE);
    mr_push_text(&text, utf8, bytes);
    mr_push_i32(&length, count);
  }
  return mr_give(out, columns, 2, MR_GIVE);
}
