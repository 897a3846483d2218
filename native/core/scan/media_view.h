// Where the media is memory (cpm profiles): which chunks the process of a slot has in its kernels' address space, so that they
// are read where they lie. It is settled when the process is born, before its jail closes; another view is another process.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/device/datasets.h"

namespace millrace {

class MediaView {
 public:
  /** One piece of the media, and where it lies in the view; all in bytes and whole pages. */
  struct Extent {
    uint64_t media;
    uint64_t at;
    uint64_t bytes;
  };
  /** What of a dataset: all its chunks, or those of these columns and row groups. */
  struct Part {
    std::shared_ptr<const Dataset> dataset;
    std::vector<uint32_t> columns;
    std::vector<uint32_t> row_groups;
    bool whole() const { return columns.empty(); }
  };

  /** nullptr: more than `bytes_max`, or in too many pieces. LIFETIME: media_fd, opened read-only, outlives it. */
  static std::shared_ptr<const MediaView> make(std::vector<Part> parts, int media_fd, uint64_t bytes_max);

  int media_fd() const { return media_fd_; }
  uint64_t bytes() const { return bytes_; }
  std::span<const Extent> extents() const { return extents_; }
  /** Parts, and with them leases: their blocks stay what they are as long as any process may have the view. */
  const std::vector<Part>& parts() const { return parts_; }
  /** Where in the view these blocks lie in one piece; nullopt: they are not in it. */
  std::optional<uint64_t> find(uint64_t slba, uint64_t blocks) const;
  bool holds(uint32_t dataset) const;

  /** The same without the dataset; nullptr: nothing is left. */
  std::shared_ptr<const MediaView> without(uint32_t dataset) const;

 private:
  std::vector<Part> parts_;
  std::vector<Extent> extents_;  // by place on the media
  uint64_t bytes_ = 0;
  int media_fd_ = -1;
};

}  // namespace millrace
