#include "millrace.h"

// One value out of JSON documents, by a path like `user.tags[0].name`. A document is walked once, from its beginning to the value: what
// lies beside the path is stepped over, checked only as far as stepping needs. Nothing is built.
typedef struct { const char *at, *end; } Text;
enum { DEPTH_MAX = 512 };

static bool space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
static void skip_space(Text *t) { while (t->at < t->end && space(*t->at)) t->at++; }
static bool take(Text *t, char c) { skip_space(t); if (t->at < t->end && *t->at == c) { t->at++; return true; } return false; }

// Steps behind a string whose opening quote is at t->at. `inner`: what stands between the quotes, as written.
static bool skip_string(Text *t, Text *inner) {
  if (t->at >= t->end || *t->at != '"') return false;
  inner->at = ++t->at;
  for (; t->at < t->end; t->at++) {
    if (*t->at == '\\') t->at++;
    else if (*t->at == '"') { inner->end = t->at++; return true; }
  }
  return false;
}

static bool skip_value(Text *t) {
  skip_space(t);
  if (t->at >= t->end) return false;
  Text inner;
  if (*t->at == '"') return skip_string(t, &inner);
  if (*t->at == '{' || *t->at == '[') {
    int depth = 0;
    for (; t->at < t->end;) {
      char c = *t->at;
      if (c == '"') { if (!skip_string(t, &inner)) return false; continue; }
      t->at++;
      if (c == '{' || c == '[') { if (++depth > DEPTH_MAX) return false; }
      else if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
  }
  const char *from = t->at;
  while (t->at < t->end && !space(*t->at) && *t->at != ',' && *t->at != '}' && *t->at != ']' && *t->at != ':') t->at++;
  return t->at > from;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }
static int hex4(const char *at, const char *end) {
  int code = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) { int h = hex(at[i]); if (h < 0) return -1; code = code * 16 + h; }
  return code;
}
static int put_utf8(char *to, int code) {
  if (code < 0x80) { to[0] = (char)code; return 1; }
  if (code < 0x800) { to[0] = (char)(0xc0 | code >> 6); to[1] = (char)(0x80 | (code & 63)); return 2; }
  if (code < 0x10000) { to[0] = (char)(0xe0 | code >> 12); to[1] = (char)(0x80 | (code >> 6 & 63)); to[2] = (char)(0x80 | (code & 63)); return 3; }
  to[0] = (char)(0xf0 | code >> 18); to[1] = (char)(0x80 | (code >> 12 & 63)); to[2] = (char)(0x80 | (code >> 6 & 63)); to[3] = (char)(0x80 | (code & 63));
  return 4;
}
// The string's characters; never more bytes than it is written in. -1: an escape is none. Half a surrogate pair becomes U+FFFD.
static int unescape(Text s, char *to) {
  char *start = to;
  while (s.at < s.end) {
    if (*s.at != '\\') { *to++ = *s.at++; continue; }
    s.at++;
    char c = *s.at++;
    switch (c) {
      case 'n': *to++ = '\n'; break;
      case 't': *to++ = '\t'; break;
      case 'r': *to++ = '\r'; break;
      case 'b': *to++ = '\b'; break;
      case 'f': *to++ = '\f'; break;
      case '"': case '\\': case '/': *to++ = c; break;
      case 'u': {
        int code = hex4(s.at, s.end);
        if (code < 0) return -1;
        s.at += 4;
        if (code >= 0xd800 && code < 0xe000) {
          int low = code < 0xdc00 && s.end - s.at >= 6 && s.at[0] == '\\' && s.at[1] == 'u' ? hex4(s.at + 2, s.end) : -1;
          if (low >= 0xdc00 && low < 0xe000) { code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00); s.at += 6; }
          else code = 0xfffd;
        }
        to += put_utf8(to, code);
        break;
      }
      default: return -1;
    }
  }
  return (int)(to - start);
}

static char key_room[65536];
static bool is_key(Text written, const char *name, int bytes) {
  bool plain = true;
  for (const char *c = written.at; c < written.end; c++) plain &= *c != '\\';
  if (plain) return written.end - written.at == bytes && memcmp(written.at, name, (size_t)bytes) == 0;
  if (written.end - written.at > (int)sizeof key_room) return false;
  int length = unescape(written, key_room);
  return length == bytes && memcmp(key_room, name, (size_t)bytes) == 0;
}

// Finds the value a path leads to. Of keys that are there twice the last counts, as in JavaScript.
static bool find(Text document, const char *path, int path_bytes, Text *value) {
  Text t = document;
  const char *p = path, *end = path + path_bytes;
  while (p < end) {
    if (*p == '.') p++;
    skip_space(&t);
    if (p < end && *p == '[') {
      int index = 0;
      for (p++; p < end && *p >= '0' && *p <= '9' && index < 100000000; p++) index = index * 10 + (*p - '0');
      if (p >= end || *p++ != ']' || !take(&t, '[') || take(&t, ']')) return false;
      for (int i = 0; i < index; i++) if (!skip_value(&t) || !take(&t, ',')) return false;
      continue;
    }
    const char *name = p;
    while (p < end && *p != '.' && *p != '[') p++;
    if (p == name || !take(&t, '{') || take(&t, '}')) return false;
    Text found = {NULL, NULL};
    for (;;) {
      Text key;
      skip_space(&t);
      if (!skip_string(&t, &key) || !take(&t, ':')) return false;
      skip_space(&t);
      if (is_key(key, name, (int)(p - name))) found = t;
      if (!skip_value(&t)) return false;
      if (!take(&t, ',')) break;
    }
    if (!take(&t, '}') || !found.at) return false;
    t = found;
  }
  skip_space(&t);
  value->at = t.at;
  if (!skip_value(&t)) return false;
  value->end = t.at;
  return true;
}

static const char *path;
static int path_bytes;
static const char *said;
const char *MR_EXPORT(error_text)(void) { return said ? said : ""; }

int MR_EXPORT(configure)(const char *params, int bytes) {
  path = mr_param(params, bytes, "path", &path_bytes);
  if (path && path_bytes > 0) return 0;
  said = "json_field needs the parameter path, for instance user.tags[0]";
  return 1;
}

// In SQL: json_field.number(body, 'a.b[0]'), NaN where there is no number; json_field.has(body, 'a.b').
double MR_EXPORT(number)(const char *json, int bytes, const char *at, int at_bytes) {
  Text value;
  if (!find((Text){json, json + bytes}, at, at_bytes, &value)) return __builtin_nan("");
  char c = *value.at;
  return c == '-' || (c >= '0' && c <= '9') ? mr_number(value.at, (int)(value.end - value.at)) : __builtin_nan("");
}
bool MR_EXPORT(has)(const char *json, int bytes, const char *at, int at_bytes) {
  Text value;
  return find((Text){json, json + bytes}, at, at_bytes, &value);
}

const MrSchema *MR_EXPORT(input_schema)(void) { MR_SCHEMA({"json", "u"}); }
const MrSchema *MR_EXPORT(schema)(void) { MR_SCHEMA({"value", "u"}); }

static MrOut out_value = {.name = "value", .format = "u"};
static MrOut *columns[] = {&out_value};
static MrColumn documents;
static int rows, next;
static bool made;

void MR_EXPORT(reset)(void) {
  if (!made) mr_out_init(&out_value, 65536, 768 * 1024);
  made = true;
}

// A row for a row: a string's characters, anything else as it is written, NULL where there is nothing or null.
int MR_EXPORT(process)(const MrArray *in, MrArray *out) {
  if (in) {
    documents = mr_column(in, 0);
    rows = (int)in->length;
    next = 0;
  }
  mr_out_clear(&out_value);
  for (; next < rows; next++) {
    Text value;
    int bytes = 0;
    const char *json = mr_is_null(documents, next) ? NULL : mr_text(documents, next, &bytes);
    if (mr_full(&out_value)) return mr_give(out, columns, 1, MR_MORE);
    if (!json || !find((Text){json, json + bytes}, path, path_bytes, &value)) { mr_push_null(&out_value); continue; }
    int length = (int)(value.end - value.at);
    if (length > out_value.text_capacity) return MR_OUT_OF_MEMORY;
    if (!mr_text_fits(&out_value, length)) return mr_give(out, columns, 1, MR_MORE);
    if (length == 4 && memcmp(value.at, "null", 4) == 0) { mr_push_null(&out_value); continue; }
    if (*value.at != '"') { mr_push_text(&out_value, value.at, length); continue; }
    char *to = (char *)out_value.data + out_value.offsets[out_value.rows];
    int written = unescape((Text){value.at + 1, value.end - 1}, to);
    if (written < 0) { mr_push_null(&out_value); continue; }
    out_value.offsets[out_value.rows + 1] = out_value.offsets[out_value.rows] + written;
    mr_valid(&out_value, true);
  }
  return mr_give(out, columns, 1, MR_GIVE);
}
