// What this process holds, in numbers a test may compare: heap bytes exactly (the sanitizers count them), descriptors, and data
// regions of associations that are mapped.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

/** Of the sanitizers' runtime; not every compiler brings sanitizer/allocator_interface.h along. */
extern "C" size_t __sanitizer_get_current_allocated_bytes();

namespace millrace::test {

struct InUse {
  uint64_t heap_bytes = 0;
  size_t descriptors = 0;
  size_t regions = 0;

  static InUse now() {
    InUse u;
    for ([[maybe_unused]] const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) u.descriptors++;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) u.regions += line.find("millrace-association") != std::string::npos;
    u.heap_bytes = __sanitizer_get_current_allocated_bytes();
    return u;
  }
  /** Other threads may be about to let go of something: for a while it is looked again. False: it stays above. */
  static bool falls_to(const InUse& before, uint64_t slack_bytes) {
    for (uint32_t i = 0; i < 2000; i++) {
      const InUse u = now();
      if (u.heap_bytes <= before.heap_bytes + slack_bytes && u.descriptors <= before.descriptors && u.regions <= before.regions) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
};

}  // namespace millrace::test
