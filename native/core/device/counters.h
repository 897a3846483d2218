// What the device did, counted where it happens. Tests assert on these, so each is exact.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <string>

#include "core/device/command_table.h"

namespace millrace {

enum class QueueKind : uint8_t { kDaemon, kLocal, kSlot, kTcp };
inline constexpr std::array<const char*, 4> kQueueKindNames{"daemon", "local", "slot", "tcp"};

/** How long commands took, by powers of two: two clock readings and two additions each, no lock. */
struct Durations {
  static constexpr size_t kBuckets = 40;  // the last one: 2^39 ns (9 min) and above
  std::array<std::atomic<uint64_t>, kBuckets> counts{};
  std::atomic<uint64_t> sum_ns{0};

  /** Bucket i holds durations below 2^i ns that bucket i - 1 does not. */
  void add(uint64_t ns) {
    counts[std::min<size_t>(static_cast<size_t>(std::bit_width(ns)), kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
    sum_ns.fetch_add(ns, std::memory_order_relaxed);
  }
};

struct Counters {
  using Counter = std::atomic<uint64_t>;
  /** From fetch to completion; in slots from submission to completion. Commands that complete on another thread or wait for others (Flush, ScanResult, Key Value) have none. */
  std::array<Durations, kCommandCount> durations{};
  /** Commands in the rings of all slots, now. */
  std::atomic<uint64_t> slot_depth{0};
  std::array<std::array<Counter, kCommandCount>, kQueueKindNames.size()> commands{};
  Counter media_read_bytes{0};
  Counter media_written_bytes{0};
  /** Bytes of chunks that kernels got where they lie: nothing was read or copied for them. */
  Counter in_place_bytes{0};
  Counter executes{0};
  /** Bytes of frames copied to hosts. */
  Counter result_bytes{0};
  /** Bytes of row groups' column chunks that Read commands moved to hosts. */
  Counter chunk_bytes{0};
  std::array<Counter, 16> guest_faults{};
  /** Where slower cores are modelled: CPU time the slots really used for Executes, and the time the modelled cores took. */
  Counter core_cpu_ns{0};
  Counter core_model_ns{0};
  /** What hosts read and wrote by block commands. */
  Counter host_read_bytes{0};
  Counter host_written_bytes{0};
  /** Reads, writes and flushes the media failed; every block command's error is one. */
  Counter media_errors{0};
  /** Entries of all error logs, ever. */
  Counter error_entries{0};
  /** Time I/O threads were awake. */
  Counter busy_ns{0};
  /** Bytes over NVMe/TCP connections, headers and digests included. */
  Counter tcp_in_bytes{0};
  Counter tcp_out_bytes{0};
  /** Bytes of frames of all scans that wait to be fetched, now. */
  Counter staged_bytes{0};
  /** Bytes of streams' states that no slot has, now. */
  Counter checkpoint_bytes{0};

  void took(Command command, uint64_t ns) { durations[static_cast<size_t>(command)].add(ns); }
  void command(QueueKind kind, Command command) { add(commands[static_cast<size_t>(kind)][static_cast<size_t>(command)], 1); }
  static void add(Counter& counter, uint64_t n) { counter.fetch_add(n, std::memory_order_relaxed); }
  static uint64_t get(const Counter& counter) { return counter.load(std::memory_order_relaxed); }
};

}  // namespace millrace
