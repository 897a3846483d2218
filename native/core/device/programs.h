// Programs of one association (PIND 0..63): INVALID -> LOADING -> LOADED -> ACTIVATED. Equal modules are held once.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/limits.h"
#include "core/sha256.h"

namespace millrace {

struct Module {
  uint64_t id;  // never reused
  std::vector<std::byte> bytes;
  Sha256 digest{};
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

/** One chunk of a Load Program. */
struct ProgramChunk {
  uint32_t type = 0;
  uint64_t id = 0;  // PID; 0: none
  uint32_t total = 0;
  uint32_t offset = 0;
  std::span<const std::byte> part;
};

/** Used by the association's I/O thread only. All functions give a wire::Status. */
class ProgramTable {
 public:
  explicit ProgramTable(ModuleStore& store) : store_(store) {}
  /** Chunks come with rising offsets and agree about the program; the one at offset 0 begins anew. */
  uint32_t load(uint32_t index, const ProgramChunk& chunk);
  uint32_t unload(uint32_t index);
  uint32_t set_active(uint32_t index, bool active);
  /** The module if the program is activated; otherwise `status` says why not. */
  std::shared_ptr<const Module> active(uint32_t index, uint32_t& status) const;

  /** What an Execute keeps while it runs: the program is in use until it lets go. Any thread may. */
  std::shared_ptr<const void> hold(uint32_t index) { return programs_[index].running; }

  struct Entry {
    uint32_t index;
    bool loaded;
    bool active;
    uint32_t type;
    uint64_t id;
    uint32_t bytes;
  };
  /** Programs that are there, by index. */
  std::vector<Entry> list() const;

 private:
  struct Program {
    std::vector<std::byte> loading;
    uint32_t total = 0;
    uint32_t type = 0;
    uint64_t id = 0;
    std::shared_ptr<const Module> module;
    bool active = false;
    std::shared_ptr<const char> running = std::make_shared<const char>();
  };
  ModuleStore& store_;
  std::array<Program, kProgramsMax> programs_;
};

}  // namespace millrace
