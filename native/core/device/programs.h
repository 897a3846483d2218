// Programs of one association (PIND 0..63): INVALID -> LOADING -> LOADED -> ACTIVATED. Equal modules are held once.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/limits.h"

namespace millrace {

struct Module {
  uint64_t id;  // never reused
  std::vector<std::byte> bytes;
};

/** Modules of all associations, by content. */
class ModuleStore {
 public:
  std::shared_ptr<const Module> intern(std::vector<std::byte> bytes);

 private:
  std::mutex mutex_;
  uint64_t next_id_ = 1;
  std::unordered_multimap<uint64_t, std::weak_ptr<const Module>> by_digest_;
};

/** Used by the association's I/O thread only. All functions give a wire::Status. */
class ProgramTable {
 public:
  explicit ProgramTable(ModuleStore& store) : store_(store) {}
  /** One chunk: `part` goes to `offset` of a module of `total` bytes. Chunks come with rising offsets. */
  uint32_t load(uint32_t index, uint32_t total, uint32_t offset, const std::byte* part, uint32_t part_bytes);
  uint32_t unload(uint32_t index);
  uint32_t set_active(uint32_t index, bool active);
  /** The module if the program is activated; otherwise `status` says why not. */
  std::shared_ptr<const Module> active(uint32_t index, uint32_t& status) const;

 private:
  struct Program {
    std::vector<std::byte> loading;
    uint32_t total = 0;
    std::shared_ptr<const Module> module;
    bool active = false;
  };
  ModuleStore& store_;
  std::array<Program, kProgramsMax> programs_;
};

}  // namespace millrace
