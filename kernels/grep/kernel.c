#include "regex.h"

static Rx rx;
static const char *said;

const char *MR_EXPORT(error_text)(void) { return said ? said : ""; }

int MR_EXPORT(configure)(const char *params, int bytes) {
  int length = 0;
  const char *pattern = mr_param(params, bytes, "pattern", &length);
  if (!pattern) { said = "grep needs the parameter pattern"; return 1; }
  if (rx_compile(&rx, pattern, length, mr_param_number(params, bytes, "ignore_case", 0) != 0)) return 0;
  said = rx.error;
  return 1;
}

// In SQL: WHERE grep.matches(text, 'a+b'). A pattern that stays the same is compiled once per row group.
static Rx called;
static char known[512];
static int known_bytes = -1;

bool MR_EXPORT(matches)(const char *text, int bytes, const char *pattern, int pattern_bytes) {
  if (pattern_bytes != known_bytes || memcmp(known, pattern, (size_t)pattern_bytes) != 0) {
    if (pattern_bytes > (int)sizeof known || !rx_compile(&called, pattern, pattern_bytes, false)) __builtin_trap();
    memcpy(known, pattern, (size_t)pattern_bytes);
    known_bytes = pattern_bytes;
  }
  return rx_matches(&called, text, bytes);
}

const MrSchema *MR_EXPORT(input_schema)(void) { MR_SCHEMA({"text", "u"}); }
const MrSchema *MR_EXPORT(schema)(void) { MR_SCHEMA({"text", "u"}); }

static MrOut out_text = {.name = "text", .format = "u"};
static MrOut *columns[] = {&out_text};
static MrColumn texts;
static int rows, next;
static bool made;

void MR_EXPORT(reset)(void) {
  if (!made) mr_out_init(&out_text, 16384, 384 * 1024);
  made = true;
  known_bytes = -1;
}

int MR_EXPORT(process)(const MrArray *in, MrArray *out) {
  if (in) {
    texts = mr_column(in, 0);
    rows = (int)in->length;
    next = 0;
  }
  mr_out_clear(&out_text);
  for (; next < rows; next++) {
    if (mr_is_null(texts, next)) continue;
    int bytes;
    const char *text = mr_text(texts, next, &bytes);
    if (!rx_matches(&rx, text, bytes)) continue;
    if (bytes > out_text.text_capacity) return MR_OUT_OF_MEMORY;
    if (mr_full(&out_text) || !mr_text_fits(&out_text, bytes)) return mr_give(out, columns, 1, MR_MORE);
    mr_push_text(&out_text, text, bytes);
  }
  return mr_give(out, columns, 1, MR_GIVE);
}
