#include "core/slots/spawn_arguments.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "jail/slot_contract.h"

namespace millrace {

namespace {

/** V8 of the pinned Node reserves code ranges as private memory; 512 MB was not enough, 640 MB was. */
constexpr uint64_t kV8DataBytes = 704ull << 20;

/** memoriesMax of daemon/slots/slot-programs.ts. */
constexpr uint64_t kSlotMemories = 2;
constexpr uint64_t kWasmPageBytes = 65536;
/** structPages + 1 of the same file, and one for rounding. */
constexpr uint64_t kExtraPages = 6;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& w : words) out.push_back(w.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

uint64_t linear_memory_bytes(const SlotSeat& s) {
  auto pages = [](uint64_t bytes) { return (bytes + kWasmPageBytes - 1) / kWasmPageBytes; };
  return (pages(s.caps.heap_bytes) + pages(s.slm_bytes + s.view_room) + kExtraPages) * kWasmPageBytes;
}

SpawnArguments::SpawnArguments(const SlotSettings& s, const SlotSeat& seat) {
  // Built beside the launcher.
  const std::string addon = (std::filesystem::path(s.launcher).parent_path() / "millrace_slot.node").string();
  const std::string parent = std::to_string(::getpid());
  // A linear memory counts whole until the SLM is mapped over it; its heap counts on.
  const uint64_t data_bytes = kV8DataBytes + linear_memory_bytes(seat) + (kSlotMemories - 1) * seat.caps.heap_bytes;
  words_ = {
      s.launcher, "--profile", "slot", "--parent", parent, "--keep-fds", std::to_string(kSlotFdCount + (seat.view ? 1 : 0)), "--data-bytes", std::to_string(data_bytes),
      "--read", s.node, "--read", s.script, "--read", addon, "--",
      // Full-speed code at once: a morsel is over before a tier-up would come.
      s.node, "--no-liftoff", "--no-wasm-lazy-compilation", "--no-wasm-dynamic-tiering", "--max-old-space-size=48", "--v8-pool-size=1",
      // No thread that waits for a debugger's signal: it may be starting still when the jail closes.
      "--disable-sigusr1", "--no-warnings",
      s.script, "--addon", addon, "--parent", parent, "--slm-bytes", std::to_string(seat.slm_bytes), "--scan-bytes", std::to_string(seat.scan_bytes), "--heap-bytes", std::to_string(seat.caps.heap_bytes),
      "--view-extents", std::to_string(seat.view ? seat.view->extents().size() : 0), "--view-room", std::to_string(seat.view_room),
  };
  // In KiB; V8's own default otherwise.
  if (seat.caps.stack_bytes > 0) words_.insert(std::find(words_.begin(), words_.end(), "--no-warnings"), "--stack-size=" + std::to_string(seat.caps.stack_bytes / 1024));
  // Nothing of the daemon's environment reaches a slot.
  environment_ = {"UV_THREADPOOL_SIZE=1", "UV_USE_IO_URING=0", "MALLOC_ARENA_MAX=2", "OPENSSL_CONF=/dev/null", "LANG=C"};
  argv_ = pointers(words_);
  envp_ = pointers(environment_);
}

}  // namespace millrace
