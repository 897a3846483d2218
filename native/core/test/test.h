// A test is a function that aborts. main (main.cc) runs all, or those whose name contains the argument.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace millrace::test {

struct Registered {
  const char* name;
  void (*run)();
  Registered* next;
  static Registered*& first() {
    static Registered* head = nullptr;
    return head;
  }
  Registered(const char* n, void (*r)()) : name(n), run(r), next(first()) { first() = this; }
};

/** The seed of this run (SEED=n in the environment; fixed otherwise). Printed by main. */
uint64_t seed();

/** Rounds of a fuzzer: few by default, MILLRACE_TEST=long many. */
inline uint32_t rounds(uint32_t few) {
  const char* text = std::getenv("MILLRACE_TEST");
  return text && std::strcmp(text, "long") == 0 ? few * 50 : few;
}

/** splitmix64 */
class Random {
 public:
  explicit Random(uint64_t salt = 0) : state_(seed() * 0x9e3779b97f4a7c15ull + salt) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /** 0..bound-1 */
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(next() % bound); }

 private:
  uint64_t state_;
};

[[noreturn]] inline void failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
  std::abort();
}

}  // namespace millrace::test

#define TEST(name)                                                     \
  static void name();                                                  \
  static ::millrace::test::Registered name##_registered{#name, &name}; \
  static void name()
#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) ::millrace::test::failed(__FILE__, __LINE__, #condition); \
  } while (false)
