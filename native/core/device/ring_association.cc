#include "core/device/ring_association.h"

namespace millrace {

namespace {

/** QSIZE is 0-based; rings here are powers of two. */
std::optional<uint32_t> entries_of(const wire::Sqe& sqe) {
  const uint32_t entries = (sqe.cdw10 >> 16) + 1;
  return std::has_single_bit(entries) && entries >= 2 && entries <= kIoEntriesMax ? std::optional(entries) : std::nullopt;
}

}  // namespace

CommandResult RingAssociation::create_completion_queue(const wire::Sqe& sqe) {
  const uint32_t id = sqe.cdw10 & 0xffffu;
  if (id == 0 || id > controller.features.io_queues() || pairs_[id].completion || pairs_[id].deleting.load() >= 0) return {wire::kStatusInvalidQueueIdentifier};
  const auto entries = entries_of(sqe);
  if (!entries) return {wire::kStatusInvalidQueueSize};
  if ((sqe.cdw11 & 1u) == 0 || (sqe.cdw11 >> 16) != 0) return {wire::kStatusInvalidField};  // contiguous; there is one way to wake a host
  const auto data = data_of(sqe);
  if (!data || sqe.prp1 % kPageBytes != 0) return {wire::kStatusInvalidField};
  if (data->size() < *entries * sizeof(wire::Cqe)) return {wire::kStatusDataSglLengthInvalid};
  pairs_[id].completion = true;
  pairs_[id].cq = data->data();
  pairs_[id].cq_entries = *entries;
  return {};
}

CommandResult RingAssociation::create_submission_queue(const wire::Sqe& sqe) {
  const uint32_t id = sqe.cdw10 & 0xffffu;
  const uint32_t completion = sqe.cdw11 >> 16;
  if (id == 0 || id > controller.features.io_queues() || pairs_[id].submission || pairs_[id].deleting.load() >= 0) return {wire::kStatusInvalidQueueIdentifier};
  if (completion == 0 || completion > kIoQueuesMax || !pairs_[completion].completion || completion != id) return {wire::kStatusCompletionQueueInvalid};  // a pair has one number
  Pair& pair = pairs_[id];
  const auto entries = entries_of(sqe);
  if (!entries || *entries > pair.cq_entries) return {wire::kStatusInvalidQueueSize};
  if ((sqe.cdw11 & 1u) == 0) return {wire::kStatusInvalidField};
  const auto data = data_of(sqe);
  if (!data || sqe.prp1 % kPageBytes != 0 || !pair.cq) return {wire::kStatusInvalidField};
  if (data->size() < sizeof(wire::QueueHeader) + uint64_t{*entries} * sizeof(wire::Sqe)) return {wire::kStatusDataSglLengthInvalid};
  // The doorbells start at zero, and no completion may look posted: the phase bits are wiped before the queue is served.
  std::memset(data->data(), 0, sizeof(wire::QueueHeader));
  std::memset(pair.cq, 0, pair.cq_entries * sizeof(wire::Cqe));
  const RingView view = RingView::apart(data->data(), *entries, pair.cq, pair.cq_entries);
  view.describe(id, 0, 0);
  if (pair.ring) pair.ring->reset(view);
  else pair.ring = std::make_unique<ExecutorRing>(view, static_cast<uint16_t>(id), peer_waker_);
  opened(id, static_cast<QueueClass>(sqe.cdw11 >> 1 & 3u));
  return {};
}

CommandResult RingAssociation::delete_completion_queue(const wire::Sqe& sqe) {
  const uint32_t id = sqe.cdw10 & 0xffffu;
  if (id == 0 || id > kIoQueuesMax || !pairs_[id].completion) return {wire::kStatusInvalidQueueIdentifier};
  if (pairs_[id].submission || pairs_[id].deleting.load() >= 0) return {wire::kStatusInvalidQueueDeletion};
  pairs_[id].completion = false;
  pairs_[id].cq = nullptr;
  return {};
}

CommandResult RingAssociation::delete_submission_queue(const wire::Sqe& sqe, const std::function<void(uint32_t queue_id)>& abort_waiting) {
  const uint32_t id = sqe.cdw10 & 0xffffu;
  if (id == 0 || id > kIoQueuesMax || !pairs_[id].submission) return {wire::kStatusInvalidQueueIdentifier};
  Pair& pair = pairs_[id];
  pair.submission = false;
  std::erase(open_, pair.ring.get());
  arbiter.remove(id);
  abort_waiting(id);
  // ORDER: first said that it waits, then looked: either this sees nothing under way, or the last post() sees it waiting.
  pair.deleting.store(sqe.cid);
  end_deletion(pair);
  return {.later = true};
}

}  // namespace millrace
