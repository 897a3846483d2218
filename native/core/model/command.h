// What a model is asked to time: one command, or one transfer inside the device.
#pragma once
#include <cstdint>

namespace millrace {

/** Blocks and byte ranges of media. kFlush, kDeallocate: see media.h. No media, the link alone: kTransfer to a host, kReceive from it. */
enum class ModelOp : uint8_t { kRead, kWrite, kFlush, kDeallocate, kTransfer, kReceive };

/** Which way the bytes go: over the link to a host, or into the device's own memory. */
enum class ModelPort : uint8_t { kHost, kDevice };

/** How a store reaches byte-addressable media: kNt streams past the caches, kFlushed stores and flushes the line, kCached leaves it to the caches. */
enum class ModelStore : uint8_t { kNt, kFlushed, kCached };

struct ModelCommand {
  ModelOp op = ModelOp::kRead;
  ModelPort port = ModelPort::kHost;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  /** Write: force unit access. */
  bool fua = false;
  ModelStore store = ModelStore::kNt;
  /** Byte-addressable media: who accesses, and how many do at a time. */
  uint32_t thread = 0;
  uint32_t threads = 1;
};

/** One access of a command that makes several. */
struct ModelStep {
  ModelCommand command;
  /** Begins when all before it are done; else together with the step before. */
  bool after = false;
};

/** done_ns: the host sees its completion. busy_until_ns: the media works for it until then (programs behind an early completion). */
struct ModelAnswer {
  uint64_t done_ns = 0;
  uint64_t busy_until_ns = 0;
};

}  // namespace millrace
