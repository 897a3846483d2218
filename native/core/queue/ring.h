// Where one ring lies in shared memory. The geometry is private to its holder: header constants are written for the
// peer's information and never read back.
#pragma once
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "core/invariant.h"
#include "wire/wire.gen.h"

namespace millrace {

struct RingView {
  wire::QueueHeader* header = nullptr;
  wire::Sqe* sq = nullptr;
  wire::Cqe* cq = nullptr;
  uint32_t sq_entries = 0;
  uint32_t cq_entries = 0;

  /** Bytes of header, SQ and CQ together, a multiple of 4096. */
  static uint64_t bytes_for(uint32_t sq_entries, uint32_t cq_entries) {
    return (sizeof(wire::QueueHeader) + uint64_t{sq_entries} * sizeof(wire::Sqe) + uint64_t{cq_entries} * sizeof(wire::Cqe) + 4095) & ~4095ull;
  }

  /** The ring that starts at `at` (4096-aligned). Both counts are powers of two. */
  static RingView over(std::byte* at, uint32_t sq_entries, uint32_t cq_entries) {
    invariant(std::has_single_bit(sq_entries) && std::has_single_bit(cq_entries) && cq_entries >= sq_entries, "ring sizes");
    RingView v;
    // SAFETY: the caller's mapping covers bytes_for(...) from `at`, page aligned.
    v.header = reinterpret_cast<wire::QueueHeader*>(at);
    v.sq = reinterpret_cast<wire::Sqe*>(at + sizeof(wire::QueueHeader));
    v.cq = reinterpret_cast<wire::Cqe*>(at + sizeof(wire::QueueHeader) + uint64_t{sq_entries} * sizeof(wire::Sqe));
    v.sq_entries = sq_entries;
    v.cq_entries = cq_entries;
    return v;
  }

  /** A ring whose submission queue (header and entries) and completion queue lie apart. Both 4096-aligned. */
  static RingView apart(std::byte* sq_at, uint32_t sq_entries, std::byte* cq_at, uint32_t cq_entries) {
    RingView v = over(sq_at, sq_entries, cq_entries);
    v.cq = reinterpret_cast<wire::Cqe*>(cq_at);
    return v;
  }

  /** Writes the constants of a fresh ring, for the peer. */
  void describe(uint32_t queue_id, uint64_t data_offset, uint64_t data_bytes) const {
    header->magic = wire::kQueueHeaderMagic;
    header->version = 1;
    header->queue_id = queue_id;
    header->sq_entries = sq_entries;
    header->cq_entries = cq_entries;
    header->sq_offset_bytes = sizeof(wire::QueueHeader);
    header->cq_offset_bytes = sizeof(wire::QueueHeader) + sq_entries * static_cast<uint32_t>(sizeof(wire::Sqe));
    header->data_offset_bytes = data_offset;
    header->data_bytes = data_bytes;
  }
};

/** A word of shared memory both sides touch. */
inline std::atomic_ref<uint32_t> shared_word(uint32_t& word) { return std::atomic_ref<uint32_t>(word); }

}  // namespace millrace
