#include "core/scan/media_view.h"

#include <algorithm>

namespace millrace {

namespace {

/** Calls `each` with every chunk of the part that has bytes. */
template <typename Each>
void chunks_of(const MediaView::Part& part, Each&& each) {
  if (part.whole()) {
    for (const wire::ChunkRecord& record : part.dataset->chunks()) each(record);
    return;
  }
  for (const uint32_t column : part.columns)
    for (const uint32_t group : part.row_groups) each(part.dataset->chunk(column, group));
}

}  // namespace

std::shared_ptr<const MediaView> MediaView::make(std::vector<Part> parts, int media_fd, uint64_t bytes_max) {
  auto view = std::make_shared<MediaView>();
  auto& extents = view->extents_;
  for (const Part& part : parts)
    chunks_of(part, [&](const wire::ChunkRecord& record) {
      if (record.used_bytes > 0) extents.push_back({record.slba * kBlockBytes, 0, chunk_blocks(record) * kBlockBytes});
    });
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.media < b.media; });
  size_t kept = 0;
  for (const Extent& next : extents) {
    // Neighbours are one piece; a version of a dataset shares chunks with the one it was made from.
    if (kept > 0 && next.media <= extents[kept - 1].media + extents[kept - 1].bytes) {
      Extent& last = extents[kept - 1];
      last.bytes = std::max(last.bytes, next.media + next.bytes - last.media);
    } else {
      extents[kept++] = next;
    }
  }
  extents.resize(kept);
  for (Extent& extent : extents) {
    extent.at = view->bytes_;
    view->bytes_ += extent.bytes;
  }
  if (view->bytes_ > bytes_max || kept > kViewExtentsMax) return nullptr;
  view->parts_ = std::move(parts);
  view->media_fd_ = media_fd;
  return view;
}

std::optional<uint64_t> MediaView::find(uint64_t slba, uint64_t blocks) const {
  const uint64_t media = slba * kBlockBytes;
  auto it = std::upper_bound(extents_.begin(), extents_.end(), media, [](uint64_t at, const Extent& extent) { return at < extent.media; });
  if (it == extents_.begin()) return std::nullopt;
  --it;
  const uint64_t inside = media - it->media;
  if (inside > it->bytes || blocks * kBlockBytes > it->bytes - inside) return std::nullopt;
  return it->at + inside;
}

bool MediaView::holds(uint32_t dataset) const {
  return std::any_of(parts_.begin(), parts_.end(), [dataset](const Part& part) { return part.dataset->header().handle == dataset; });
}

std::shared_ptr<const MediaView> MediaView::without(uint32_t dataset) const {
  std::vector<Part> left;
  for (const Part& part : parts_)
    if (part.dataset->header().handle != dataset) left.push_back(part);
  return left.empty() ? nullptr : make(std::move(left), media_fd_, bytes_);
}

}  // namespace millrace
