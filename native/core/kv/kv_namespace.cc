#include "core/kv/kv_namespace.h"

#include <algorithm>

namespace millrace {

namespace {

/** What the entry asks for; its reserved bits are zero. KV command set 1.0, 3.2 to 3.6. */
uint32_t checked(const wire::Sqe& sqe, KvRequest& request) {
  const uint32_t options = sqe.cdw11 >> 8;
  constexpr uint32_t kEither = wire::kKvStoreOptionOnlyIfExists | wire::kKvStoreOptionOnlyIfAbsent;
  if (sqe.opc == wire::kKvOpcodeStore && (options & kEither) == kEither) return wire::kStatusInvalidField;
  request.key = KvKey::of(sqe);
  const bool key_needed = sqe.opc != wire::kKvOpcodeList;
  if (request.key.length > kKvKeyBytesMax || (key_needed && request.key.length == 0)) return wire::kStatusInvalidKeySize;
  if (sqe.opc == wire::kKvOpcodeDelete || sqe.opc == wire::kKvOpcodeExist) return wire::kStatusSuccess;
  if (sqe.opc == wire::kKvOpcodeStore && sqe.cdw10 > kKvValueBytesMax) return wire::kStatusInvalidValueSize;
  if (sqe.opc == wire::kKvOpcodeList && sqe.cdw10 < sizeof(wire::KvKeyList)) return wire::kStatusInvalidField;
  if (sqe.cdw10 > kTransferBytesMax) return wire::kStatusInvalidField;
  if (sqe.cdw10 == 0) return wire::kStatusSuccess;
  const auto data = request.association->data_of(sqe);
  if (!data) return wire::kStatusInvalidField;
  if (data->size() < sqe.cdw10) return wire::kStatusDataSglLengthInvalid;
  request.data = data->first(sqe.cdw10);
  return wire::kStatusSuccess;
}

}  // namespace

KvNamespace::KvNamespace(const std::string& path, uint64_t capacity_bytes, std::function<void()> media_failed)
    : media_failed_(std::move(media_failed)),
      writer_(path, capacity_bytes),
      reader_(path),
      log_(path),
      value_(kKvValueBytesMax),
      checkpoint_(path),
      flushes_([this] { return flush(); }),
      reads_([this](KvLane::Batch& batch) { serve_reads(batch); }),
      changes_([this](KvLane::Batch& batch) { serve_changes(batch); }) {}

KvNamespace::~KvNamespace() = default;

uint32_t KvNamespace::flush() {
  const uint32_t status = log_.sync();
  if (status == wire::kStatusWriteFault) media_failed_();
  return status;
}

void KvNamespace::execute(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe, const MediaPlaces& places) {
  if (sqe.opc == wire::kKvOpcodeFlush) return flushes_.flush(association, queue_id, sqe);
  KvRequest request{association, queue_id, sqe, {}, {}, !association->controller.features.write_cache(), {}, places, monotonic_ns()};
  const uint32_t status = checked(sqe, request);
  if (status != wire::kStatusSuccess) return request.complete({status});
  const bool changes = sqe.opc == wire::kKvOpcodeStore || sqe.opc == wire::kKvOpcodeDelete;
  (changes ? changes_ : reads_).put(std::move(request));
}

void KvNamespace::serve_reads(KvLane::Batch& batch) {
  for (KvRequest& request : batch) {
    switch (request.sqe.opc) {
      case wire::kKvOpcodeRetrieve: request.complete(reader_.retrieve(request.key, request.data)); break;
      case wire::kKvOpcodeExist: request.complete(reader_.exist(request.key)); break;
      default: {
        const KvAnswer answer = reader_.list(request.key, request.listing, request.data);
        if (request.listing.ended) request.complete(answer);
        else reads_.put(std::move(request));  // others first
      }
    }
  }
}

void KvNamespace::serve_changes(KvLane::Batch& batch) {
  for (size_t from = 0; from < batch.size();) {
    size_t count = 0;
    uint64_t bytes = 0;
    while (from + count < batch.size() && count < kKvBatchCommandsMax && (count == 0 || bytes + batch[from + count].data.size() <= kKvBatchBytesMax)) bytes += batch[from + count++].data.size();
    const std::span<KvRequest> requests(&batch[from], count);
    // What fails together (a full disk, a damaged page) may be one command's fault: each for itself then.
    if (!change(requests))
      for (KvRequest& request : requests) change_alone(request);
    from += count;
    if (writer_.log_pages() >= kKvLogPagesHard) checkpoint_.wait();
    else if (writer_.log_pages() >= kKvLogPagesSoft) checkpoint_.ask();
  }
}

KvAnswer KvNamespace::apply(KvRequest& request) {
  if (request.sqe.opc == wire::kKvOpcodeDelete) return writer_.remove(request.key);
  // The host can still write there: what is checksummed and what is stored must be the same bytes.
  if (!request.data.empty()) std::memcpy(value_.data(), request.data.data(), request.data.size());
  return writer_.store(request.key, {value_.data(), request.data.size()}, request.sqe.cdw11 >> 8);
}

bool KvNamespace::change(std::span<KvRequest> requests) {
  answers_.clear();
  if (writer_.begin() != wire::kStatusSuccess) return false;
  for (KvRequest& request : requests) {
    answers_.push_back(apply(request));
    if (!writer_.going_on()) {
      writer_.undo();
      return false;
    }
  }
  if (writer_.end() != wire::kStatusSuccess) return false;
  const bool durable = std::any_of(requests.begin(), requests.end(), [](const KvRequest& r) { return r.durable; });
  const uint32_t synced = durable ? flush() : wire::kStatusSuccess;
  for (size_t i = 0; i < requests.size(); i++) {
    if (requests[i].durable && answers_[i].status == wire::kStatusSuccess) answers_[i].status = synced;
    requests[i].complete(answers_[i]);
  }
  return true;
}

void KvNamespace::change_alone(KvRequest& request) {
  KvAnswer answer{writer_.begin()};
  if (answer.status == wire::kStatusSuccess) {
    answer = apply(request);
    if (!writer_.going_on()) writer_.undo();
    else if (const uint32_t status = writer_.end(); answer.status == wire::kStatusSuccess) answer.status = status;
    if (request.durable && answer.status == wire::kStatusSuccess) answer.status = flush();
  }
  request.complete(answer);
}

}  // namespace millrace
