// kernels/log_lines in C: lines of the Common Log Format as eight columns with validity. Argument: folder.
#include <stdbool.h>
#include "native.h"
#include "row-hash.h"

typedef struct { uint8_t *valid; int32_t *offsets; char *bytes; int32_t used; } Text;

static int32_t *offsets;
static char *lines;
static int64_t rows;
static uint8_t *ok_bits, *time_valid, *status_valid, *bytes_valid;
static int64_t *times, *sizes;
static int32_t *statuses;
static Text host, user, method, path;

static Text text_of(size_t bytes) {
  const size_t bits = (size_t)(rows + 7) / 8;
  return (Text){malloc(bits), malloc((size_t)(rows + 1) * sizeof(int32_t)), malloc(bytes + 1), 0};
}

static void setup(int argc, char **argv) {
  (void)argc;
  size_t bytes, text_bytes;
  offsets = load(argv[1], "line", &bytes);
  rows = (int64_t)(bytes / sizeof *offsets) - 1;
  lines = load(argv[1], "line.text", &text_bytes);
  const size_t bits = (size_t)(rows + 7) / 8;
  ok_bits = malloc(bits);
  time_valid = malloc(bits);
  status_valid = malloc(bits);
  bytes_valid = malloc(bits);
  times = malloc((size_t)rows * sizeof *times);
  sizes = malloc((size_t)rows * sizeof *sizes);
  statuses = malloc((size_t)rows * sizeof *statuses);
  host = text_of(text_bytes);
  user = text_of(text_bytes);
  method = text_of(text_bytes);
  path = text_of(text_bytes);
}

typedef struct { const char *from, *to; } Piece;
typedef struct { Piece host, user, method, path; int64_t seconds, size; int32_t code; } Line;
static const char *at, *end;

static inline int here(void) { return at < end ? (uint8_t)*at : -1; }
static inline bool take(int c) {
  if (here() != c) return false;
  at++;
  return true;
}
static inline bool until(int c, Piece *piece) {
  piece->from = at;
  while (at < end && (uint8_t)*at != c) at++;
  piece->to = at;
  return piece->to > piece->from && take(c);
}
static inline int digits(int count) {
  int value = 0;
  for (int i = 0; i < count; i++, at++) {
    const int digit = here() - 48;
    if ((unsigned)digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
static int month(void) {
  if (end - at < 3) return 0;
  for (int m = 0; m < 12; m++)
    if (memcmp(at, "JanFebMarAprMayJunJulAugSepOctNovDec" + m * 3, 3) == 0) {
      at += 3;
      return m + 1;
    }
  return 0;
}
static int64_t days(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int yoe = y - era * 400;
  const int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return (int64_t)era * 146097 + (yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}
static bool moment(int64_t *seconds) {
  const int day = digits(2);
  if (day < 1 || day > 31 || !take('/')) return false;
  const int m = month();
  if (m == 0 || !take('/')) return false;
  const int year = digits(4);
  if (year < 0 || !take(':')) return false;
  const int hour = digits(2);
  if (hour < 0 || hour > 23 || !take(':')) return false;
  const int minute = digits(2);
  if (minute < 0 || minute > 59 || !take(':')) return false;
  const int second = digits(2);
  if (second < 0 || second > 60 || !take(' ')) return false;
  const bool west = here() == '-';
  if (!take('-') && !take('+')) return false;
  const int zone_hour = digits(2), zone_minute = digits(2);
  if (zone_hour < 0 || zone_minute < 0) return false;
  const int64_t zone = (int64_t)(zone_hour * 60 + zone_minute) * 60;
  *seconds = days(year, m, day) * 86400 + (hour * 3600 + minute * 60 + second) + (west ? zone : -zone);
  return true;
}
static bool parse(Line *line) {
  Piece ident;
  if (!until(' ', &line->host) || !until(' ', &ident) || !until(' ', &line->user)) return false;
  if (!take('[') || !moment(&line->seconds) || !take(']') || !take(' ') || !take('"')) return false;
  if (!until(' ', &line->method)) return false;
  const char *start = at;
  while (at < end && !(*at == '"' && at + 1 < end && at[1] == ' ')) at++;
  if (at >= end) return false;
  const char *stop = at;
  while (stop > start && stop[-1] != ' ') stop--;
  line->path = (Piece){start, stop > start ? stop - 1 : at};
  if (line->path.to <= start) return false;
  at += 2;
  line->code = digits(3);
  if (line->code < 100 || !take(' ')) return false;
  line->size = -1;
  if (take('-')) return at == end || here() == ' ';
  line->size = 0;
  const char *first = at;
  while ((unsigned)(here() - 48) < 10 && at - first < 18) line->size = line->size * 10 + (*at++ - 48);
  return at > first && (at == end || here() == ' ');
}

static inline void mark(uint8_t *bits, int64_t row, bool set) {
  if ((row & 7) == 0) bits[row >> 3] = 0;
  bits[row >> 3] |= (uint8_t)(set << (row & 7));
}
static inline void push(Text *text, int64_t row, bool valid, Piece piece) {
  mark(text->valid, row, valid);
  if (valid) {
    memcpy(text->bytes + text->used, piece.from, (size_t)(piece.to - piece.from));
    text->used += (int32_t)(piece.to - piece.from);
  }
  text->offsets[row + 1] = text->used;
}

static void run(void) {
  Text *texts[] = {&host, &user, &method, &path};
  for (int t = 0; t < 4; t++) texts[t]->used = texts[t]->offsets[0] = 0;
  for (int64_t row = 0; row < rows; row++) {
    at = lines + offsets[row];
    end = lines + offsets[row + 1];
    Line line = {0};
    const bool ok = parse(&line);
    mark(ok_bits, row, ok);
    push(&host, row, ok, line.host);
    push(&user, row, ok && !(line.user.to - line.user.from == 1 && *line.user.from == '-'), line.user);
    mark(time_valid, row, ok);
    times[row] = ok ? line.seconds : 0;
    push(&method, row, ok, line.method);
    push(&path, row, ok, line.path);
    mark(status_valid, row, ok);
    statuses[row] = ok ? line.code : 0;
    mark(bytes_valid, row, ok && line.size >= 0);
    sizes[row] = ok && line.size >= 0 ? line.size : 0;
  }
}

static bool is_set(const uint8_t *bits, int64_t row) { return (bits[row >> 3] >> (row & 7)) & 1; }
static uint32_t text_hash(const Text *text) {
  uint32_t state = hash_start;
  for (int64_t row = 0; row < rows; row++) state = is_set(text->valid, row) ? hash_text(state, text->bytes + text->offsets[row], text->offsets[row + 1] - text->offsets[row]) : hash_null(state);
  return state;
}
static void print_result(void) {
  uint32_t ok = hash_start, time = hash_start, status = hash_start, bytes = hash_start;
  for (int64_t row = 0; row < rows; row++) {
    ok = hash_word(ok, is_set(ok_bits, row));
    time = is_set(time_valid, row) ? hash_64(time, &times[row]) : hash_null(time);
    status = is_set(status_valid, row) ? hash_word(status, (uint32_t)statuses[row]) : hash_null(status);
    bytes = is_set(bytes_valid, row) ? hash_64(bytes, &sizes[row]) : hash_null(bytes);
  }
  const uint32_t hashes[8] = {ok, text_hash(&host), text_hash(&user), time, text_hash(&method), text_hash(&path), status, bytes};
  print_hashes(rows, hashes, 8);
}
