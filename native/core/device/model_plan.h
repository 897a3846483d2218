// What a command on a queue does to the device's one modelled media, in the order its accesses need one another. Pure: tests
// run plans through a model in virtual time. Offsets are the media's: namespaces lie on it one behind the other.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/device/command_table.h"
#include "core/model/command.h"

namespace millrace {

using ModelPlan = std::vector<ModelStep>;

struct MediaRange {
  uint64_t offset;
  uint64_t bytes;
};

/** What a copy reads, by a list of `listed` ranges the host sends; those that are not of media are left out. */
struct CopySources {
  uint32_t listed;
  std::span<const MediaRange> media;
};

/** Where things lie on the modelled media. */
struct MediaPlaces {
  /** The namespace the command names: its first byte. */
  uint64_t namespace_at = 0;
  uint64_t keys_at = 0;
  uint64_t key_bytes = 0;
  /** Namespace 6 is the media itself. */
};

/** Of commands whose entry says all. Empty: it does not touch media, or a plan_* below is for it. The command's entry was checked. */
ModelPlan model_plan(Command command, const wire::Sqe& sqe, const MediaPlaces& places, bool write_cache);

/** Copy: all is read, then all is written. durable: FUA, or no write cache. */
ModelPlan plan_copy(CopySources sources, MediaRange to, bool durable);
/** Dataset Management: the list comes from the host, then the ranges are unmapped. */
ModelPlan plan_deallocate(std::span<const MediaRange> ranges, bool durable);
/** Memory Copy into the device's own memory. */
ModelPlan plan_memory_copy(CopySources sources);
/** Execute Program whose output goes to the media: its inputs were read by then. */
ModelPlan plan_execute_output(MediaRange to, bool durable);
/** Retrieve: how long a value is, only the store knows. */
ModelPlan plan_retrieve(const wire::Sqe& sqe, const MediaPlaces& places, uint64_t bytes);

}  // namespace millrace
