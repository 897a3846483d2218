// Flash translation layer: maps 4 KiB pages, appends, and collects garbage greedily. Knows no time.
//
// A line is one block of every LUN; its pages are filled unit by unit over the LUNs. A device begins full, written once in
// order: that mapping is arithmetic, and tables exist only where something was overwritten, so a large device costs nothing
// until it is used. Garbage collection is paced: for every page a host writes, as many pages of the line being collected
// move as free exactly the space the host takes. (NVMeVirt moves whole lines at once, in the foreground; the same
// amplification, but a host would then see the whole line as one stall.)
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace millrace {

struct FtlGeometry {
  uint32_t luns = 1;
  /** 4 KiB pages of one program unit. */
  uint32_t unit_pages = 8;
  /** Program units of one block of a LUN. */
  uint32_t block_units = 1;
  uint64_t logical_pages = 0;
  double over_provision = 0.07;

  uint64_t line_pages() const { return uint64_t{luns} * unit_pages * block_units; }
};

class Ftl {
 public:
  enum Stream : uint8_t { kHostStream, kGcStream };
  struct Place {
    uint32_t lun;
    /** 4 KiB page within the block of the LUN. */
    uint32_t page;
  };
  struct Move {
    uint32_t page;  // logical
    uint32_t from;  // position
    uint32_t to;
  };

  /** Throws std::invalid_argument. */
  explicit Ftl(FtlGeometry geometry);

  /** Where a logical page lies; nullopt: nowhere, it was deallocated. */
  std::optional<uint32_t> find(uint64_t logical_page) const;
  Place place(uint32_t position) const;
  /** The next page of the host's stream becomes the place of `logical_page`. */
  uint32_t write(uint64_t logical_page);
  void deallocate(uint64_t logical_page);
  /** The next move garbage collection owes for what was written or padded; nullopt: none. To be called until then after each. */
  std::optional<Move> collect();
  /** The position ended a program unit / it is in the first unit of its block. */
  bool ends_unit(uint32_t position) const { return (position + 1) % geometry_.unit_pages == 0; }
  bool begins_block(uint32_t position) const { return position % line_pages_ / geometry_.unit_pages < geometry_.luns; }
  /** Gives up the rest of the host's open unit (a flush programs it half empty); nullopt: no unit is open. */
  std::optional<uint32_t> pad();

  uint64_t host_pages() const { return host_pages_; }
  uint64_t moved_pages() const { return moved_pages_; }
  uint64_t padded_pages() const { return padded_pages_; }
  uint64_t logical_pages() const { return geometry_.logical_pages; }
  uint64_t lines() const { return valid_.size(); }
  /** Pages written to flash per page hosts wrote. */
  double write_amplification() const { return host_pages_ == 0 ? 1 : static_cast<double>(host_pages_ + moved_pages_ + padded_pages_) / static_cast<double>(host_pages_); }
  void reset_counts() { host_pages_ = moved_pages_ = padded_pages_ = 0; }

 private:
  static constexpr uint32_t kNowhere = ~0u;
  static constexpr uint32_t kChunkPages = 1u << 14;
  static constexpr uint32_t kNoLine = ~0u;
  /** Collection begins with so many free lines left. */
  static constexpr size_t kFreeLinesLow = 3;
  struct Open {
    uint32_t line = kNoLine;
    uint32_t next = 0;
  };

  uint32_t append(Stream stream, uint32_t logical_page);
  uint32_t get(uint32_t logical_page) const;
  void set(uint32_t logical_page, uint32_t position);
  uint32_t owner(uint32_t position) const;
  void owe();
  void begin_collecting();

  FtlGeometry geometry_;
  uint32_t line_pages_;
  std::vector<std::unique_ptr<uint32_t[]>> map_;     // logical page -> position, by chunk; absent: as first written
  std::vector<std::unique_ptr<uint32_t[]>> owners_;  // by line; absent: as first written
  std::vector<uint32_t> valid_;                      // by line
  std::deque<uint32_t> free_;
  Open open_[2];
  uint32_t collecting_ = kNoLine;
  uint32_t cursor_ = 0;
  double moves_per_page_ = 0;
  double owed_ = 0;
  uint64_t host_pages_ = 0;
  uint64_t moved_pages_ = 0;
  uint64_t padded_pages_ = 0;
};

}  // namespace millrace
