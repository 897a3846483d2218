// Numbers of a device profile (device-sim/profiles/*.json), each listed once: the struct, the binding and the check that
// TypeScript and C++ know the same names come from these lists. Times in nanoseconds, rates in bytes per second, 0: absent.
#pragma once
#include <array>
#include <string_view>

namespace millrace {

/** NAND flash behind channels, mapped by page (flash.h). */
#define MILLRACE_FLASH_SETTINGS(F)                                                                              \
  F(channels, "channels")                                                                                       \
  F(luns_per_channel, "lunsPerChannel")                                                                         \
  F(flash_page_bytes, "flashPageBytes")                                                                         \
  F(program_bytes, "programBytes")             /* one-shot program unit of one LUN */                           \
  F(pages_per_block, "pagesPerBlock")          /* flash pages; erase_ns is for a block of this size */          \
  F(page_types, "pageTypes")                   /* 1 SLC, 2 MLC, 3 TLC: read times are spread evenly over them */ \
  F(read_small_ns, "readSmallNs")              /* tR for one 4 KiB page, mean over page types */                \
  F(read_ns, "readNs")                         /* tR for more */                                                \
  F(read_spread_ns, "readSpreadNs")            /* slowest page type minus mean */                               \
  F(program_ns, "programNs")                                                                                    \
  F(erase_ns, "eraseNs")                                                                                        \
  F(channel_bytes_per_second, "channelBytesPerSecond")                                                          \
  F(channel_chunk_bytes, "channelChunkBytes")  /* the link carries one chunk while the channel moves the next */ \
  F(firmware_small_bytes, "firmwareSmallBytes") /* reads up to this see the first of the next two */            \
  F(firmware_small_ns, "firmwareSmallNs")                                                                       \
  F(firmware_ns, "firmwareNs")                                                                                  \
  F(write_fixed_ns, "writeFixedNs")                                                                             \
  F(write_per_page_ns, "writePerPageNs")       /* per 4 KiB */                                                  \
  F(buffer_bytes, "bufferBytes")                                                                                \
  F(over_provision, "overProvision")           /* physical / logical - 1 */                                     \
  F(device_bytes_per_second, "deviceBytesPerSecond")   /* into the device's own memory */                       \
  F(suspend_ns, "suspendNs")                   /* a read waits for a running program or erase no longer than this */ \
  F(stream_read_bytes_per_second, "streamReadBytesPerSecond")   /* one request alone, however large */          \
  F(stream_write_bytes_per_second, "streamWriteBytesPerSecond")                                                 \
  F(split_bytes, "splitBytes")                 /* a request larger than this pays once */                       \
  F(split_ns, "splitNs")

/** Units striped by 4 KiB without mapping or erase: 3D XPoint drives (unit_media.h). */
#define MILLRACE_UNIT_SETTINGS(F)     \
  F(units, "units")                   \
  F(read_fixed_ns, "readFixedNs")     \
  F(read_unit_ns, "readUnitNs")       \
  F(write_fixed_ns, "writeFixedNs")   \
  F(write_unit_ns, "writeUnitNs")

/** Byte-addressable media (memory_media.h). */
#define MILLRACE_MEMORY_SETTINGS(F)                                                                   \
  F(line_bytes, "lineBytes")                     /* what the media reads and writes at a time */      \
  F(modules, "modules")                                                                               \
  F(interleave_bytes, "interleaveBytes")                                                              \
  F(load_ns, "loadNs")                           /* idle load that misses the module's buffer */      \
  F(load_buffered_ns, "loadBufferedNs")          /* of a line read before */                          \
  F(store_nt_ns, "storeNtNs")                    /* until the store is in the persistence domain */   \
  F(store_flushed_ns, "storeFlushedNs")                                                               \
  F(line_read_ns, "lineReadNs")                  /* media time of one line */                         \
  F(line_write_ns, "lineWriteNs")                                                                     \
  F(line_write_overhead, "lineWriteOverhead")    /* media bytes written over line bytes */            \
  F(ownership_ns, "ownershipNs")                 /* media time per 64 B a cached store fetches first */ \
  F(thread_read_bytes_per_second, "threadReadBytesPerSecond")                                         \
  F(thread_write_bytes_per_second, "threadWriteBytesPerSecond")                                       \
  F(buffer_lines, "bufferLines")                 /* write-combining buffer of a module */             \
  F(buffer_backlog_ns, "bufferBacklogNs")        /* media work a module accepts ahead */              \
  F(read_threads, "readThreads")                 /* per module; more lose lines between their parts */ \
  F(read_threads_power, "readThreadsPower")                                                           \
  F(write_threads, "writeThreads")                                                                    \
  F(write_threads_power, "writeThreadsPower")                                                         \
  F(wear_block_bytes, "wearBlockBytes")                                                               \
  F(wear_writes, "wearWrites")                   /* stores of a module among which a hot block is looked for */ \
  F(wear_stall_ns, "wearStallNs")                                                                     \
  F(link_read_bytes_per_second, "linkReadBytesPerSecond")   /* between processor and modules */       \
  F(link_write_bytes_per_second, "linkWriteBytesPerSecond")

/** Rated power of the whole device and, apart from it, adjustable estimates per component (power.h). */
#define MILLRACE_POWER_SETTINGS(F)                                 \
  F(idle_w, "idleW")                                               \
  F(read_w, "readW")                                               \
  F(write_w, "writeW")                                             \
  F(link_pj_per_bit, "linkPjPerBit")                               \
  F(memory_pj_per_bit, "memoryPjPerBit")                           \
  F(core_w, "coreW")  /* one core, busy */

#define MILLRACE_FIELD(member, name) double member = 0;
#define MILLRACE_ENTRY(member, name) Entry{name, &Self::member},
#define MILLRACE_COUNT(member, name) +1
#define MILLRACE_SETTINGS(Type, LIST)                                                          \
  struct Type {                                                                                \
    using Self = Type;                                                                         \
    struct Entry {                                                                             \
      std::string_view name;                                                                   \
      double Type::* member;                                                                   \
    };                                                                                         \
    LIST(MILLRACE_FIELD)                                                                       \
    static auto entries() { return std::array<Entry, 0 LIST(MILLRACE_COUNT)>{LIST(MILLRACE_ENTRY)}; } \
  };

MILLRACE_SETTINGS(FlashSettings, MILLRACE_FLASH_SETTINGS)
MILLRACE_SETTINGS(UnitSettings, MILLRACE_UNIT_SETTINGS)
MILLRACE_SETTINGS(MemorySettings, MILLRACE_MEMORY_SETTINGS)
MILLRACE_SETTINGS(PowerSettings, MILLRACE_POWER_SETTINGS)

#undef MILLRACE_FIELD
#undef MILLRACE_ENTRY
#undef MILLRACE_COUNT
#undef MILLRACE_SETTINGS

}  // namespace millrace
