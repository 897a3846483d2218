// A regular-expression engine of linear time: the pattern becomes a nondeterministic automaton (Thompson), whose sets of states are
// made states of a deterministic one as texts need them. No text makes it go back; a pattern that needs more states than there is
// room for starts its cache anew. Syntax: README.md.
#pragma once
#include "millrace.h"

enum { RX_NODES = 1024, RX_CODE = 2048, RX_SETS = 256, RX_STATES = 384, RX_WORDS = RX_CODE / 32 };
enum { RX_EMPTY, RX_SET, RX_CAT, RX_ALT, RX_REPEAT, RX_BEGIN, RX_END };
enum { OP_SET, OP_SPLIT, OP_JUMP, OP_BEGIN, OP_END, OP_MATCH };

typedef struct { uint32_t bits[8]; } RxSet;
typedef struct { uint8_t kind; int16_t set; int16_t left, right; int16_t min, max; } RxNode;
typedef struct { uint8_t op; int16_t x, y; } RxInstruction;

typedef struct {
  const char *error;
  bool ignore_case;
  RxSet sets[RX_SETS];
  RxNode nodes[RX_NODES];
  RxInstruction code[RX_CODE];
  int set_count, node_count, length;
  // The deterministic automaton: per state its set of instructions, its 256 transitions (-1: not known yet).
  uint32_t members[RX_STATES][RX_WORDS];
  int16_t next[RX_STATES][256];
  uint8_t accepts[RX_STATES], accepts_at_end[RX_STATES];
  int states, words;
  const char *at, *end;
  int depth;
  int16_t stack[RX_CODE * 2];
} Rx;

static inline void rx_add(RxSet *s, int byte) { s->bits[byte >> 5] |= 1u << (byte & 31); }
static inline bool rx_has(const RxSet *s, int byte) { return (s->bits[byte >> 5] >> (byte & 31)) & 1; }

static int rx_node(Rx *r, int kind, int left, int right) {
  if (r->node_count >= RX_NODES) { r->error = "the pattern is too long"; return 0; }
  r->nodes[r->node_count] = (RxNode){.kind = (uint8_t)kind, .left = (int16_t)left, .right = (int16_t)right};
  return r->node_count++;
}
static int rx_set_node(Rx *r, RxSet set) {
  if (r->set_count >= RX_SETS) { r->error = "the pattern has too many different classes"; return 0; }
  r->sets[r->set_count] = set;
  int node = rx_node(r, RX_SET, 0, 0);
  r->nodes[node].set = (int16_t)r->set_count++;
  return node;
}
static int rx_range_node(Rx *r, int from, int to) {
  RxSet set = {{0}};
  for (int b = from; b <= to; b++) rx_add(&set, b);
  return rx_set_node(r, set);
}
// One character of UTF-8 that is not ASCII.
static int rx_multibyte(Rx *r) {
  int tail = rx_range_node(r, 0x80, 0xbf);
  int two = rx_node(r, RX_CAT, rx_range_node(r, 0xc2, 0xdf), tail);
  int three = rx_node(r, RX_CAT, rx_range_node(r, 0xe0, 0xef), rx_node(r, RX_CAT, tail, tail));
  int four = rx_node(r, RX_CAT, rx_range_node(r, 0xf0, 0xf4), rx_node(r, RX_CAT, tail, rx_node(r, RX_CAT, tail, tail)));
  return rx_node(r, RX_ALT, two, rx_node(r, RX_ALT, three, four));
}
static void rx_class(RxSet *set, int letter) {
  for (int b = 0; b < 128; b++) {
    bool digit = b >= '0' && b <= '9';
    bool in = letter == 'd' ? digit : letter == 'w' ? digit || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_' : b == ' ' || (b >= 9 && b <= 13);
    if (in) rx_add(set, b);
  }
}
static RxSet rx_ascii_not(RxSet set) {
  RxSet out = {{0}};
  for (int b = 0; b < 128; b++) if (!rx_has(&set, b)) rx_add(&out, b);
  return out;
}
static int rx_negated(Rx *r, RxSet set) { return rx_node(r, RX_ALT, rx_set_node(r, rx_ascii_not(set)), rx_multibyte(r)); }
static int rx_escape(int c) {
  switch (c) { case 'n': return '\n'; case 't': return '\t'; case 'r': return '\r'; case 'f': return '\f'; case 'v': return '\v'; default: return c; }
}
static bool rx_is_class(int c) { return (c | 32) == 'd' || (c | 32) == 'w' || (c | 32) == 's'; }
static bool rx_is_letter(int c) { return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9'); }
static void rx_fold(Rx *r, RxSet *set) {
  if (!r->ignore_case) return;
  for (int b = 'a'; b <= 'z'; b++) if (rx_has(set, b) || rx_has(set, b - 32)) { rx_add(set, b); rx_add(set, b - 32); }
}

static int rx_alternatives(Rx *r);

static int rx_bracket(Rx *r) {
  bool negated = r->at < r->end && *r->at == '^';
  if (negated) r->at++;
  RxSet set = {{0}};
  for (;;) {
    if (r->at >= r->end) { r->error = "a class [ is not closed"; return 0; }
    int c = (uint8_t)*r->at++;
    if (c == ']') break;
    if (c >= 128) { r->error = "classes take ASCII only"; return 0; }
    if (c == '\\') {
      if (r->at >= r->end) { r->error = "the pattern ends with \\"; return 0; }
      c = (uint8_t)*r->at++;
      if (rx_is_class(c)) {
        RxSet shorthand = {{0}};
        rx_class(&shorthand, c | 32);
        if (c < 'a') { r->error = "\\D, \\W and \\S do not stand inside a class"; return 0; }
        for (int w = 0; w < 8; w++) set.bits[w] |= shorthand.bits[w];
        continue;
      }
      c = rx_escape(c);
    }
    int to = c;
    if (r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] != ']') {
      r->at++;
      to = (uint8_t)*r->at++;
      if (to == '\\' && r->at < r->end) to = rx_escape((uint8_t)*r->at++);
      if (to >= 128 || to < c) { r->error = "a range in a class is not ascending ASCII"; return 0; }
    }
    for (int b = c; b <= to; b++) rx_add(&set, b);
  }
  rx_fold(r, &set);
  return negated ? rx_negated(r, set) : rx_set_node(r, set);
}

static int rx_atom(Rx *r) {
  int c = (uint8_t)*r->at++;
  RxSet set = {{0}};
  switch (c) {
    case '(': {
      if (r->end - r->at >= 2 && r->at[0] == '?' && r->at[1] == ':') r->at += 2;
      if (++r->depth > 100) { r->error = "groups are nested more than 100 levels deep"; return 0; }
      int inner = rx_alternatives(r);
      r->depth--;
      if (r->error) return 0;
      if (r->at >= r->end || *r->at != ')') { r->error = "a group ( is not closed"; return 0; }
      r->at++;
      return inner;
    }
    case '[': return rx_bracket(r);
    case '.': rx_add(&set, '\n'); return rx_negated(r, set);
    case '^': return rx_node(r, RX_BEGIN, 0, 0);
    case '$': return rx_node(r, RX_END, 0, 0);
    case '*': case '+': case '?': r->error = "a quantifier stands where nothing can be repeated"; return 0;
    case '\\':
      if (r->at >= r->end) { r->error = "the pattern ends with \\"; return 0; }
      c = (uint8_t)*r->at++;
      if (rx_is_class(c)) {
        rx_class(&set, c | 32);
        return c < 'a' ? rx_negated(r, set) : rx_set_node(r, set);
      }
      if (rx_is_letter(c) && rx_escape(c) == c) { r->error = "an escape is not known: \\d \\w \\s \\D \\W \\S \\n \\t \\r \\f \\v and punctuation are"; return 0; }
      c = rx_escape(c);
      break;
    default: break;
  }
  if (c < 128) {
    rx_add(&set, c);
    rx_fold(r, &set);
    return rx_set_node(r, set);
  }
  // A character of several bytes is one atom.
  int node = rx_range_node(r, c, c);
  while (r->at < r->end && ((uint8_t)*r->at & 0xc0) == 0x80) {
    int byte = (uint8_t)*r->at++;
    node = rx_node(r, RX_CAT, node, rx_range_node(r, byte, byte));
  }
  return node;
}

static int rx_count(Rx *r) {
  int n = -1;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) { n = (n < 0 ? 0 : n) * 10 + (*r->at - '0'); if (n > 1000) { r->error = "a count of more than 1000"; return 0; } }
  return n;
}

static int rx_repeated(Rx *r) {
  int node = rx_atom(r);
  for (bool once = false; !r->error && r->at < r->end; once = true) {
    int c = *r->at, min, max;
    if (c == '*') { min = 0; max = -1; r->at++; }
    else if (c == '+') { min = 1; max = -1; r->at++; }
    else if (c == '?') { min = 0; max = 1; r->at++; }
    else if (c == '{') {
      r->at++;
      min = rx_count(r);
      max = min;
      if (r->at < r->end && *r->at == ',') { r->at++; max = rx_count(r); }
      if (r->error) return 0;
      if (min < 0 || r->at >= r->end || *r->at != '}' || (max >= 0 && max < min)) { r->error = "a count is written {2}, {2,} or {2,5}"; return 0; }
      r->at++;
    } else break;
    if (once) { r->error = "a quantifier stands behind another"; return 0; }
    // Lazy or not makes no difference to whether there is a match.
    if (r->at < r->end && *r->at == '?') r->at++;
    int repeat = rx_node(r, RX_REPEAT, node, 0);
    r->nodes[repeat].min = (int16_t)min;
    r->nodes[repeat].max = (int16_t)max;
    node = repeat;
  }
  return node;
}

static int rx_sequence(Rx *r) {
  int node = -1;
  while (!r->error && r->at < r->end && *r->at != '|' && *r->at != ')') {
    int next = rx_repeated(r);
    node = node < 0 ? next : rx_node(r, RX_CAT, node, next);
  }
  return node < 0 ? rx_node(r, RX_EMPTY, 0, 0) : node;
}

static int rx_alternatives(Rx *r) {
  int node = rx_sequence(r);
  while (!r->error && r->at < r->end && *r->at == '|') {
    r->at++;
    node = rx_node(r, RX_ALT, node, rx_sequence(r));
  }
  return node;
}

static int rx_emit(Rx *r, int op, int x, int y) {
  if (r->length >= RX_CODE) { r->error = "the pattern is too long with its counts written out"; return 0; }
  r->code[r->length] = (RxInstruction){(uint8_t)op, (int16_t)x, (int16_t)y};
  return r->length++;
}

static void rx_generate(Rx *r, int node) {
  if (r->error) return;
  RxNode n = r->nodes[node];
  switch (n.kind) {
    case RX_EMPTY: return;
    case RX_SET: rx_emit(r, OP_SET, n.set, 0); return;
    case RX_BEGIN: rx_emit(r, OP_BEGIN, 0, 0); return;
    case RX_END: rx_emit(r, OP_END, 0, 0); return;
    case RX_CAT: rx_generate(r, n.left); rx_generate(r, n.right); return;
    case RX_ALT: {
      int split = rx_emit(r, OP_SPLIT, 0, 0);
      r->code[split].x = (int16_t)r->length;
      rx_generate(r, n.left);
      int jump = rx_emit(r, OP_JUMP, 0, 0);
      r->code[split].y = (int16_t)r->length;
      rx_generate(r, n.right);
      r->code[jump].x = (int16_t)r->length;
      return;
    }
    default: {
      for (int i = 0; i < n.min && !r->error; i++) rx_generate(r, n.left);
      if (n.max < 0) {
        int split = rx_emit(r, OP_SPLIT, 0, 0);
        r->code[split].x = (int16_t)r->length;
        rx_generate(r, n.left);
        rx_emit(r, OP_JUMP, split, 0);
        r->code[split].y = (int16_t)r->length;
        return;
      }
      for (int i = n.min; i < n.max && !r->error; i++) {
        int split = rx_emit(r, OP_SPLIT, 0, 0);
        r->code[split].x = (int16_t)r->length;
        rx_generate(r, n.left);
        r->code[split].y = (int16_t)r->length;
      }
    }
  }
}

// Adds an instruction and all that is reached from it without a byte.
static void rx_close(Rx *r, uint32_t *set, int pc, bool begin, bool end) {
  int top = 0;
  r->stack[top++] = (int16_t)pc;
  while (top > 0) {
    pc = r->stack[--top];
    if ((set[pc >> 5] >> (pc & 31)) & 1) continue;
    set[pc >> 5] |= 1u << (pc & 31);
    RxInstruction i = r->code[pc];
    if (i.op == OP_JUMP) r->stack[top++] = i.x;
    else if (i.op == OP_SPLIT) { r->stack[top++] = i.y; r->stack[top++] = i.x; }
    else if ((i.op == OP_BEGIN && begin) || (i.op == OP_END && end)) r->stack[top++] = (int16_t)(pc + 1);
  }
}

static int rx_state(Rx *r, const uint32_t *set) {
  for (int s = 0; s < r->states; s++) if (memcmp(r->members[s], set, (size_t)r->words * 4) == 0) return s;
  if (r->states == RX_STATES) return -1;
  int s = r->states++;
  memcpy(r->members[s], set, (size_t)r->words * 4);
  memset(r->next[s], 0xff, sizeof r->next[s]);
  uint32_t at_end[RX_WORDS] = {0};
  memcpy(at_end, set, (size_t)r->words * 4);
  for (int pc = 0; pc < r->length; pc++) if (((set[pc >> 5] >> (pc & 31)) & 1) && r->code[pc].op == OP_END) rx_close(r, at_end, pc + 1, false, true);
  int match = r->length - 1;
  r->accepts[s] = (set[match >> 5] >> (match & 31)) & 1;
  r->accepts_at_end[s] = (at_end[match >> 5] >> (match & 31)) & 1;
  return s;
}

// State 0: before the first byte.
static void rx_start(Rx *r) {
  r->states = 0;
  uint32_t set[RX_WORDS] = {0};
  rx_close(r, set, 0, true, false);
  rx_state(r, set);
}

static bool rx_compile(Rx *r, const char *pattern, int bytes, bool ignore_case) {
  r->error = NULL;
  r->ignore_case = ignore_case;
  r->set_count = r->node_count = r->length = r->depth = 0;
  r->at = pattern;
  r->end = pattern + bytes;
  int root = rx_alternatives(r);
  if (!r->error && r->at < r->end) r->error = "a group ) is not opened";
  rx_generate(r, root);
  rx_emit(r, OP_MATCH, 0, 0);
  if (r->error) return false;
  r->words = (r->length + 31) / 32;
  rx_start(r);
  return true;
}

static int rx_step(Rx *r, int state, int byte) {
  uint32_t set[RX_WORDS] = {0};
  const uint32_t *from = r->members[state];
  for (int pc = 0; pc < r->length; pc++)
    if (((from[pc >> 5] >> (pc & 31)) & 1) && r->code[pc].op == OP_SET && rx_has(&r->sets[r->code[pc].x], byte)) rx_close(r, set, pc + 1, false, false);
  // A match may begin anywhere.
  rx_close(r, set, 0, false, false);
  int next = rx_state(r, set);
  if (next >= 0) {
    r->next[state][byte] = (int16_t)next;
    return next;
  }
  rx_start(r);
  return rx_state(r, set);
}

static bool rx_matches(Rx *r, const char *text, int bytes) {
  int state = 0;
  for (int i = 0; i < bytes; i++) {
    if (r->accepts[state]) return true;
    int byte = (uint8_t)text[i], next = r->next[state][byte];
    state = next >= 0 ? next : rx_step(r, state, byte);
  }
  return r->accepts[state] || r->accepts_at_end[state];
}
