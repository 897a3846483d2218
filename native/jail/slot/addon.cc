// The slot's side of V8: what slot-main.ts calls. Plain V8 API, since TerminateExecution and memory overlays have no N-API.
// One isolate, one thread; state lives as long as the process. A broken precondition ends the slot: it is our bug.
#include <node.h>
#include <sys/mman.h>
#include <unistd.h>
#include <v8.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <system_error>
#include <vector>

#include "core/invariant.h"
#include "jail/slot/seal.h"
#include "jail/slot/slot_ring.h"
#include "jail/slot/stop_watch.h"
#include "jail/slot_contract.h"

namespace millrace {
namespace {

using Args = v8::FunctionCallbackInfo<v8::Value>;

struct Overlay {
  std::byte* base = nullptr;  // of the linear memory
  uint64_t memory_bytes = 0;
  uint64_t at = 0;
  /** With something in it; the window reaches further where room is kept for other views. */
  uint64_t bytes = 0;
  uint64_t window_bytes = 0;
  /** What hosts put into the SLM for an Execute: scans do not see it. */
  uint64_t private_at = 0;
  uint64_t private_bytes = 0;
};

SlotRing* ring = nullptr;
bool has_media = false;
StopWatch* watch = nullptr;
std::vector<Overlay> overlays;

double number(const Args& args, int i) { return args[i].As<v8::Number>()->Value(); }
uint32_t word(const Args& args, int i) { return static_cast<uint32_t>(static_cast<int64_t>(number(args, i))); }

void throw_error(v8::Isolate* isolate, const char* what) {
  isolate->ThrowException(v8::Exception::Error(v8::String::NewFromUtf8(isolate, what).ToLocalChecked()));
}

/** On whichever thread. Not through V8 or stdio, whose locks may be held: the supervisor reads it from the exit code. */
[[noreturn]] void out_of_memory() { ::_exit(kSlotExitOutOfMemory); }
void out_of_memory_in_v8(const char*, const v8::OOMDetails&) { out_of_memory(); }

/** open(): ArrayBuffer. Maps the ring, starts the stop thread, returns the data region. */
void open(const Args& args) {
  auto* isolate = args.GetIsolate();
  invariant(ring == nullptr, "open twice");
  // Node's own handlers would abort like any bug. The first is for threads with an isolate, the second for compiler threads.
  isolate->SetOOMErrorHandler(out_of_memory_in_v8);
  v8::V8::SetFatalMemoryErrorCallback(out_of_memory_in_v8);
  std::set_new_handler(out_of_memory);
  try {
    // LIFETIME: never freed; the stop thread and the array buffer use them until the process ends.
    ring = new SlotRing(kSlotFdRing, kSlotFdWake, kSlotFdDone);
    watch = new StopWatch(*ring, isolate);
  } catch (const std::exception& e) {
    throw_error(isolate, e.what());
    return;
  }
  auto store = v8::ArrayBuffer::NewBackingStore(ring->data(), ring->data_bytes(), [](void*, size_t, void*) {}, nullptr);
  args.GetReturnValue().Set(v8::ArrayBuffer::New(isolate, std::move(store)));
}

/** What is seen while no Execute of a host runs. Set once: a morsel costs no system call. */
void show_to_scans(const Overlay& o) {
  std::byte* window = o.base + o.at;
  invariant(::mprotect(window, o.bytes, PROT_READ) == 0, "showing what scans see of device memory");
  invariant(o.private_bytes == 0 || ::mprotect(window + o.private_at, o.private_bytes, PROT_NONE) == 0, "hiding what hosts put into the SLM");
}

/**
 * overlay(memory.buffer, address, bytes, view: Float64Array of offset on the media, bytes; roomBytes, scanBytes): number. Maps the SLM read-only over
 * whole pages of a fixed-size linear memory, and behind it the pieces of the media, one after the other;
 * what is left of the room cannot be touched: it is no part of the kernel's memory.
 */
void overlay(const Args& args) {
  auto store = args[0].As<v8::ArrayBuffer>()->GetBackingStore();
  const auto address = static_cast<uint64_t>(number(args, 1));
  uint64_t bytes = 0;
  auto* base = static_cast<std::byte*>(store->Data());
  const auto map = [&](int protection, int flags, int fd, uint64_t offset, uint64_t length) {
    invariant(address % kPageBytes == 0 && length % kPageBytes == 0 && bytes + length <= store->ByteLength() && address <= store->ByteLength() - bytes - length, "overlay outside the memory");
    // SAFETY: the pages belong to the memory's own reservation and are never grown (initial = maximum), so V8 does not
    // change their protection; it unmaps them with the reservation.
    const bool mapped = length == 0 || ::mmap(base + address + bytes, length, protection, flags | MAP_FIXED, fd, static_cast<off_t>(offset)) != MAP_FAILED;
    bytes += length;
    return mapped;
  };
  const auto slm_bytes = static_cast<uint64_t>(number(args, 2));
  const auto scan_bytes = static_cast<uint64_t>(number(args, 5));
  invariant(scan_bytes % kPageBytes == 0 && scan_bytes <= slm_bytes, "scans see a part of the SLM");
  bool mapped = map(PROT_READ, MAP_SHARED, kSlotFdSlm, 0, slm_bytes);
  auto view = args[3].As<v8::Float64Array>();
  // SAFETY: the array is alive for the call; copied field by field.
  const auto* pair = reinterpret_cast<const double*>(static_cast<const std::byte*>(view->Buffer()->Data()) + view->ByteOffset());
  for (size_t i = 0; mapped && i + 1 < view->Length(); i += 2) mapped = map(PROT_READ, MAP_SHARED, kSlotFdMedia, static_cast<uint64_t>(pair[i]), static_cast<uint64_t>(pair[i + 1]));
  const uint64_t seen_bytes = bytes;
  const uint64_t window_bytes = slm_bytes + static_cast<uint64_t>(number(args, 4));
  invariant(seen_bytes <= window_bytes, "a view fits the room kept for it");
  mapped = mapped && map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, window_bytes - seen_bytes);
  if (!mapped) {
    throw_error(args.GetIsolate(), "mapping device memory over the kernel's memory failed");
    return;
  }
  has_media = has_media || view->Length() > 0;
  overlays.push_back({base, store->ByteLength(), address, seen_bytes, window_bytes, scan_bytes, slm_bytes - scan_bytes});
  show_to_scans(overlays.back());
  args.GetReturnValue().Set(static_cast<uint32_t>(overlays.size() - 1));
}

/** scrub(memory): everything of an overlaid memory but the SLM and the media reads as zero again. */
void scrub(const Args& args) {
  invariant(word(args, 0) < overlays.size(), "scrub of an overlaid memory");
  const Overlay& o = overlays[word(args, 0)];
  const uint64_t behind = o.at + o.window_bytes;
  invariant(::madvise(o.base, o.at, MADV_DONTNEED) == 0, "scrubbing below the window");
  invariant(::madvise(o.base + behind, o.memory_bytes - behind, MADV_DONTNEED) == 0, "scrubbing behind the window");
}

/**
 * show(pairs: Float64Array of offset, bytes): of the SLM and the media, kernels see the whole pages of these and no others; show(): what scans see.
 * What a kernel touches beside them is an out-of-bounds trap, or costs the slot.
 */
void show(const Args& args) {
  const bool scans = !args[0]->IsFloat64Array();
  for (const Overlay& o : overlays) {
    if (scans) {
      show_to_scans(o);
      continue;
    }
    std::byte* window = o.base + o.at;
    invariant(::mprotect(window, o.bytes, PROT_NONE) == 0, "hiding the SLM");
    auto pairs = args[0].As<v8::Float64Array>();
    // SAFETY: the array is alive for the call; copied field by field.
    const auto* pair = reinterpret_cast<const double*>(static_cast<const std::byte*>(pairs->Buffer()->Data()) + pairs->ByteOffset());
    for (size_t i = 0; i + 1 < pairs->Length(); i += 2) {
      const auto offset = static_cast<uint64_t>(pair[i]);
      const uint64_t bytes = (static_cast<uint64_t>(pair[i + 1]) + kPageBytes - 1) / kPageBytes * kPageBytes;
      invariant(offset % kPageBytes == 0 && bytes <= o.bytes && offset <= o.bytes - bytes, "what is shown lies in the SLM");
      invariant(bytes == 0 || ::mprotect(window + offset, bytes, PROT_READ) == 0, "showing a part of the SLM");
    }
  }
}

/** seal(parentPid, partsByLauncher): number of JailParts. */
void seal_slot(const Args& args) {
  // The mapping stays. Where no view was passed the number may be one of Node's own.
  if (has_media) ::close(kSlotFdMedia);
  try {
    args.GetReturnValue().Set(v8::Number::New(args.GetIsolate(), seal(static_cast<int>(word(args, 0)), word(args, 1))));
  } catch (const std::exception& e) {
    throw_error(args.GetIsolate(), e.what());
  }
}

/** next(fields: Float64Array(5)): opcode, cid, cdw10, prp1, prp2 of the next command; blocks. */
void next(const Args& args) {
  auto fields = args[0].As<v8::Float64Array>();
  invariant(fields->Length() >= 5, "room for a command's fields");
  // SAFETY: the array is alive for the call and its buffer is not detached while it blocks: there is one thread.
  auto* out = reinterpret_cast<double*>(static_cast<std::byte*>(fields->Buffer()->Data()) + fields->ByteOffset());
  const wire::Sqe sqe = ring->next();
  out[0] = sqe.opc;
  out[1] = sqe.cid;
  out[2] = sqe.cdw10;
  out[3] = static_cast<double>(sqe.prp1);
  out[4] = static_cast<double>(sqe.prp2);
}

/** waiting(): whether a command is there that next() would give at once. */
void waiting(const Args& args) { args.GetReturnValue().Set(ring->waiting()); }

/** guard(cid, run): true when run() returned; false when the device stopped the command. What run throws passes through. */
void guard(const Args& args) {
  auto* isolate = args.GetIsolate();
  v8::TryCatch caught(isolate);
  watch->command().begin(static_cast<uint16_t>(word(args, 0)));
  const bool returned = !args[1].As<v8::Function>()->Call(isolate->GetCurrentContext(), v8::Undefined(isolate), 0, nullptr).IsEmpty();
  const bool stopped = watch->command().end();
  if (stopped) isolate->CancelTerminateExecution();
  if (!returned && !(stopped && caught.HasTerminated())) {
    caught.ReThrow();
    return;
  }
  if (stopped) caught.Reset();
  args.GetReturnValue().Set(returned);
}

/** complete(cid, status, dw0, dw1) */
void complete(const Args& args) { ring->complete(static_cast<uint16_t>(word(args, 0)), word(args, 1), word(args, 2), word(args, 3)); }

/** completeMore(cid, bytes): boolean. Announces a full output area, waits until it was drained; false: stop. */
void complete_more(const Args& args) {
  const auto cid = static_cast<uint16_t>(word(args, 0));
  ring->note_continue_word();
  ring->complete(cid, wire::kStatusSuccess, word(args, 1), 1);
  args.GetReturnValue().Set(ring->wait_continue(cid));
}

/** die(text): a last word on stderr, then the end, without the event loop. */
void die(const Args& args) {
  v8::String::Utf8Value text(args.GetIsolate(), args[0]);
  std::fprintf(stderr, "slot: %s\n", *text ? *text : "?");
  ::_exit(70);
}

}  // namespace

// The cast is Node's own macro's.
#pragma GCC diagnostic ignored "-Wcast-function-type"
NODE_MODULE_INIT() {
  NODE_SET_METHOD(exports, "open", open);
  NODE_SET_METHOD(exports, "overlay", overlay);
  NODE_SET_METHOD(exports, "scrub", scrub);
  NODE_SET_METHOD(exports, "show", show);
  NODE_SET_METHOD(exports, "seal", seal_slot);
  NODE_SET_METHOD(exports, "next", next);
  NODE_SET_METHOD(exports, "waiting", waiting);
  NODE_SET_METHOD(exports, "guard", guard);
  NODE_SET_METHOD(exports, "complete", complete);
  NODE_SET_METHOD(exports, "completeMore", complete_more);
  NODE_SET_METHOD(exports, "die", die);
  (void)module;
  (void)context;
}

}  // namespace millrace
