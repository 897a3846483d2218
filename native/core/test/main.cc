#include <cstring>
#include <ctime>
#include <vector>

#include "slot_program.h"
#include "test.h"

namespace millrace::test {

uint64_t seed() {
  static const uint64_t value = [] {
    const char* text = std::getenv("SEED");
    return text ? std::strtoull(text, nullptr, 10) : 20240601ull;
  }();
  return value;
}

}  // namespace millrace::test

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--profile") == 0) return millrace::test::slot_program();
  using millrace::test::Registered;
  std::printf("seed %llu (replay: SEED=n make -C native/core/test)\n", static_cast<unsigned long long>(millrace::test::seed()));
  int ran = 0;
  for (Registered* test = Registered::first(); test; test = test->next) {
    if (argc > 1 && !std::strstr(test->name, argv[1])) continue;
    std::printf("%s\n", test->name);
    std::fflush(stdout);
    test->run();
    ran++;
  }
  std::printf("%d passed, 0 failed\n", ran);
  return ran == 0 ? 1 : 0;
}
