// Queues hosts make in their data region, and hosts that lie about them: doorbells and heads of any value, headers, entries
// and completions overwritten, and everything rewritten by a second thread while the device uses it. A lie that breaks the
// ring ends that host and no other; every other lie is that host's own trouble. A failure prints its case as JSON.
#include <string>
#include <thread>

#include "core/queue/executor_ring.h"
#include "fuzz_entry.h"
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint64_t kDataBytes = 4 << 20;
constexpr uint32_t kHostEntries = 16;
/** Commands move their data below this; rings made by commands lie above. */
constexpr uint64_t kRingsAt = 2 << 20;
constexpr uint64_t kCompletionsAt = kRingsAt + (1 << 18);
constexpr uint32_t kQueueId = 2;

enum class Lie : uint8_t { kSubmit, kRead, kTail, kHead, kEntry, kCompletion, kHeader, kSleepWords, kRemake };
constexpr uint32_t kLies = 9;

struct Move {
  Lie lie;
  uint32_t value;
};

/** A queue pair and what a host does to it, one move after the other. */
struct QueueCase {
  uint32_t entries = 2;
  bool given = false;  // the pair that comes with attaching, not one made by commands
  std::vector<Move> moves;

  std::string json() const {
    std::string text = "{\"entries\":" + std::to_string(entries) + ",\"given\":" + (given ? "1" : "0") + ",\"moves\":[";
    for (size_t i = 0; i < moves.size(); i++) text += (i ? "," : "") + std::to_string(static_cast<uint32_t>(moves[i].lie)) + "," + std::to_string(moves[i].value);
    return text + "]}";
  }
};

QueueCase case_of(const std::string& json) {
  const auto number = [&](size_t at) { return static_cast<uint32_t>(std::strtoul(json.c_str() + at, nullptr, 10)); };
  QueueCase c{number(json.find("\"entries\":") + 10), number(json.find("\"given\":") + 8) != 0, {}};
  for (size_t at = json.find('[') + 1; at < json.find(']');) {
    const uint32_t lie = number(at);
    at = json.find(',', at) + 1;
    c.moves.push_back({static_cast<Lie>(lie % kLies), number(at)});
    at = std::min(json.find(',', at), json.find(']', at)) + 1;
  }
  return c;
}

[[noreturn]] void fail(const QueueCase& c, size_t move, const char* what) {
  std::fprintf(stderr, "%s, after move %zu\nreplay: SEED=%llu QUEUE_CASE='%s' make -C native/core/test TEST=queue_fuzz_replays\n", what, move, static_cast<unsigned long long>(seed()), c.json().c_str());
  std::abort();
}

template <typename Done>
bool comes_true(Done&& done) {
  for (uint32_t i = 0; i < 400'000; i++) {
    if (done()) return true;
    if (i > 1000) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return false;
}

wire::Sqe admin(uint32_t opc, uint32_t cdw10, uint32_t cdw11 = 0) {
  wire::Sqe sqe{};
  sqe.opc = static_cast<uint8_t>(opc);
  sqe.cdw10 = cdw10;
  sqe.cdw11 = cdw11;
  return sqe;
}

/** An I/O command of any kind whose data stays clear of the rings. */
wire::Sqe io_entry(Random& random) {
  for (;;) {
    uint32_t queue = 0;
    wire::Sqe sqe = entry(random, queue, kRingsAt);
    if (queue != 1) continue;
    sqe.prp1 %= kRingsAt - (1 << 16);
    sqe.prp2 %= 1 << 16;
    return sqe;
  }
}

/** What the device must do with a ring whose words are as they are: ExecutorRing's contract, in one place for the test. */
struct Expected {
  uint32_t entries;
  uint32_t tail = 0;
  uint32_t head = 0;
  uint32_t fetched = 0;
  bool broken = false;

  void settle() {
    while (!broken && tail != fetched) {
      const uint32_t unread = fetched - head;  // all that was fetched is posted
      broken = tail - fetched > entries || unread > entries;
      if (broken || unread == entries) return;
      fetched++;
    }
  }
};

/** The honest half of a lying host: its admin queue. Of its other rings only the test knows what is in them. */
class AdminQueue {
 public:
  explicit AdminQueue(ClientLink& link) : link_(link) {}
  /** False: no answer for 20 s. */
  bool run(wire::Sqe sqe, uint64_t at = 0, uint64_t bytes = 0) {
    sqe.cid = next_++;
    sqe.prp1 = at;
    sqe.prp2 = bytes;
    if (!comes_true([&] { return take(), link_.ring(0).submit(&sqe, 1) == 1; })) return false;
    return comes_true([&] { return take(), last_ == sqe.cid; }) && status_ == 0;
  }
  /** There is one bell for all queues: this rings it. */
  void ring() {
    wire::Sqe sqe = admin(wire::kOpcodeAdminKeepAlive, 0);
    sqe.cid = next_++;
    take();
    link_.ring(0).submit(&sqe, 1);
  }
  bool make(uint32_t id, uint32_t entries) {
    return run(admin(wire::kOpcodeAdminCreateIoCq, id | (entries - 1) << 16, 1), kCompletionsAt, entries * sizeof(wire::Cqe)) &&
           run(admin(wire::kOpcodeAdminCreateIoSq, id | (entries - 1) << 16, 1 | id << 16), kRingsAt, sizeof(wire::QueueHeader) + entries * sizeof(wire::Sqe));
  }
  bool remove(uint32_t id) { return run(admin(wire::kOpcodeAdminDeleteIoSq, id)) && run(admin(wire::kOpcodeAdminDeleteIoCq, id)); }

 private:
  void take() {
    wire::Cqe cqe;
    while (link_.ring(0).reap(&cqe, 1) == 1) {
      last_ = cqe.cid;
      status_ = cqe.status >> 1 & 0x7ffu;
    }
  }
  ClientLink& link_;
  uint16_t next_ = 0;
  uint16_t last_ = 0xffff;
  uint32_t status_ = 0;
};

class LyingHost {
 public:
  LyingHost(TestDevice& d, const QueueCase& c) : device_(*d.device), case_(c), link_(device_.attach(kHostEntries, kDataBytes)), admin_(*link_), expected_{c.entries} {
    if (c.given) view_ = AssociationGeometry::checked(kHostEntries, kDataBytes)->io(link_->memory()->data());
    else make();
  }

  /** False: the device ended the association, as it should have. */
  bool move(size_t at) {
    const Move& m = case_.moves[at];
    Random noise(m.value);
    const Expected before = expected_;
    switch (m.lie) {
      case Lie::kSubmit: {
        const uint32_t count = 1 + m.value % case_.entries;
        for (uint32_t i = 0; i < count; i++) put_entry(expected_.tail + i, io_entry(noise));
        expected_.tail += count;
        break;
      }
      case Lie::kRead: expected_.head = expected_.fetched; break;
      case Lie::kTail: expected_.tail = near(m.value, expected_.tail); break;
      case Lie::kHead: expected_.head = near(m.value, expected_.head); break;
      case Lie::kEntry: put_entry(m.value, io_entry(noise)); return true;
      case Lie::kCompletion:
        for (uint32_t i = 0; i < 4; i++) word(view_.cq, noise.below(4 * case_.entries) * 4).store(static_cast<uint32_t>(noise.next()));
        scribbled_ = true;
        return true;
      case Lie::kHeader:
        for (uint32_t i = 0; i < 8; i++) {
          const uint32_t offset = noise.below(sizeof(wire::QueueHeader) / 4) * 4;
          if (offset != offsetof(wire::QueueHeader, sq_tail) && offset != offsetof(wire::QueueHeader, cq_head)) word(view_.header, offset).store(static_cast<uint32_t>(noise.next()));
        }
        return true;
      case Lie::kSleepWords:
        word(view_.header, offsetof(wire::QueueHeader, executor_sleeping)).store(m.value);
        word(view_.header, offsetof(wire::QueueHeader, submitter_sleeping)).store(m.value >> 1);
        return true;
      case Lie::kRemake:
        if (case_.given) return true;
        if (!admin_.remove(kQueueId)) fail(case_, at, "the queue was not deleted");
        expected_ = {case_.entries};
        make();
        return true;
    }
    expected_.settle();
    act(before, at);
    return !expected_.broken;
  }

  /** It answers, and went no further than it should have. */
  void check_alive(size_t at) {
    if (!admin_.run(admin(wire::kOpcodeAdminKeepAlive, 0))) fail(case_, at, "the admin queue does not answer");
    if (!scribbled_ && posted(expected_.fetched)) fail(case_, at, "a completion nobody asked for");
  }

 private:
  void make() {
    if (!admin_.make(kQueueId, case_.entries)) fail(case_, 0, "the queue was not made");
    view_ = RingView::apart(link_->data() + kRingsAt, case_.entries, link_->data() + kCompletionsAt, case_.entries);
    scribbled_ = false;
  }
  /** Mostly about where it is, where off-by-one errors live; sometimes anywhere. */
  uint32_t near(uint32_t value, uint32_t now) const {
    if (value % 4 == 0) return value;
    return now + (value >> 2) % (4 * case_.entries + 3) - 2 * case_.entries - 1;
  }
  static std::atomic_ref<uint32_t> word(void* base, size_t at) { return shared_word(*reinterpret_cast<uint32_t*>(static_cast<std::byte*>(base) + at)); }
  void put_entry(uint32_t index, const wire::Sqe& sqe) { std::memcpy(&view_.sq[index % case_.entries], &sqe, sizeof sqe); }
  /** The word with phase and status of the index-th completion of this ring. */
  std::atomic_ref<uint32_t> last_word(uint32_t index) { return word(&view_.cq[index % case_.entries], 12); }
  bool posted(uint32_t index) { return (last_word(index).load(std::memory_order_acquire) >> 16 & 1u) == phase(index); }
  uint32_t phase(uint32_t index) const { return 1u ^ ((index / case_.entries) & 1u); }

  /** Writes the doorbell and the head, and waits for what the device must make of them. */
  void act(const Expected& before, size_t at) {
    // What is to be posted, and the one behind it, are told from what was there by their phase.
    for (uint32_t i = before.fetched; i != expected_.fetched + 1; i++) last_word(i).store(phase(i) ? 0u : 1u << 16, std::memory_order_relaxed);
    scribbled_ = false;
    shared_word(view_.header->cq_head).store(expected_.head);
    shared_word(view_.header->sq_tail).store(expected_.tail, std::memory_order_release);
    admin_.ring();
    for (uint32_t i = before.fetched; i != expected_.fetched; i++) {
      if (!comes_true([&] { return posted(i); })) fail(case_, at, "a command is not completed");
      if (!known(last_word(i).load() >> 17 & 0x7ffu)) fail(case_, at, "a status nobody knows");
    }
    if (expected_.broken && !comes_true([&] { return device_.associations() == 1; })) fail(case_, at, "a broken ring is served on");
    if (!expected_.broken && device_.associations() != 2) fail(case_, at, "a ring that is not broken is closed");
  }

  Device& device_;
  const QueueCase& case_;
  std::unique_ptr<ClientLink> link_;
  AdminQueue admin_;
  RingView view_;
  Expected expected_;
  bool scribbled_ = false;  // completions overwritten since the last act()
};

void run_case(TestDevice& d, Host& other, const QueueCase& c) {
  {
    LyingHost host(d, c);
    size_t at = 0;
    while (at < c.moves.size() && host.move(at)) {
      host.check_alive(at);
      at++;
    }
  }
  if (!comes_true([&] { return d.device->associations() == 1; })) fail(c, c.moves.size(), "a host that left is still there");
  wire::Sqe look{};
  look.opc = wire::kOpcodeRead;
  look.nsid = wire::kNsidRaw;
  if (other.run(1, look, 0, 4096).status != 0) fail(c, c.moves.size(), "another host is affected");
}

}  // namespace

TEST(queue_fuzz_replays) {
  const char* given = std::getenv("QUEUE_CASE");
  // Without one: commands, then a doorbell one beyond the ring.
  const std::string text = given ? given : QueueCase{4, false, {{Lie::kSubmit, 2}, {Lie::kRead, 0}, {Lie::kTail, 4 * 8}}}.json();
  CHECK(case_of(text).json() == text);
  TestDevice d(0, 16ull << 20, false, with_keys);
  Host other(attach(d));
  run_case(d, other, case_of(text));
}

TEST(queue_fuzz_lies_about_doorbells_and_heads) {
  TestDevice d(0, 16ull << 20, false, with_keys);
  Host other(attach(d));
  Random random(303);
  const uint32_t cases = rounds(400);
  uint32_t broken = 0;
  for (uint32_t i = 0; i < cases; i++) {
    QueueCase c;
    c.given = random.below(4) == 0;
    c.entries = c.given ? kHostEntries : 2u << random.below(3);
    for (uint32_t k = 0; k < 12; k++) c.moves.push_back({static_cast<Lie>(random.below(4) ? random.below(3) : random.below(kLies)), static_cast<uint32_t>(random.next())});
    run_case(d, other, c);
  }
  {
    const std::lock_guard lock(d.events_mutex);
    for (const std::string& event : d.events) broken += event.starts_with("associationLost") && event.ends_with("it broke the ring protocol");
  }
  // Both kinds of lie are among them.
  CHECK(broken > cases / 10 && broken < cases);
}

#if !defined(__SANITIZE_THREAD__)
// The changes race with the device by design: memory both sides share is the host's to write at any time.
TEST(queue_fuzz_of_rings_rewritten_by_a_second_thread) {
  TestDevice d(0, 16ull << 20, false, with_keys);
  Host other(attach(d));
  Random random(404);
  constexpr uint32_t kEntries = 8;
  const auto geometry = *AssociationGeometry::checked(kHostEntries, kDataBytes);
  uint32_t ended = 0;
  uint64_t completed = 0;
  for (uint32_t round = 0; round < rounds(40); round++) {
    const bool words_too = round % 4 == 3;  // doorbells and heads as well: such a host is soon ended
    {
      const auto link = d.device->attach(kHostEntries, kDataBytes);
      AdminQueue queue(*link);
      CHECK(queue.make(kQueueId, kEntries));
      std::byte* data = link->data();
      const RingView views[2] = {geometry.io(link->memory()->data()), RingView::apart(data + kRingsAt, kEntries, data + kCompletionsAt, kEntries)};
      std::atomic<bool> stop{false};
      std::thread rewriter([&, noise = Random(round * 7919ull + 5)]() mutable {
        while (!stop.load(std::memory_order_relaxed)) {
          const RingView& v = views[noise.below(2)];
          const uint32_t kind = noise.below(words_too ? 16 : 15);
          std::byte* at = kind < 10   ? reinterpret_cast<std::byte*>(v.sq) + noise.below(v.sq_entries * static_cast<uint32_t>(sizeof(wire::Sqe)))
                          : kind < 15 ? data + noise.below(1 << 18)
                                      : reinterpret_cast<std::byte*>(v.header) + noise.below(512);
          // Data pointers are left alone where the device's own reads must not hit the rings.
          const auto within = static_cast<size_t>(at - reinterpret_cast<std::byte*>(v.sq)) % sizeof(wire::Sqe);
          if (!words_too && kind < 10 && within >= offsetof(wire::Sqe, prp1) && within < offsetof(wire::Sqe, cdw10)) continue;
          *at = static_cast<std::byte>(kind == 15 ? noise.below(4) : static_cast<uint32_t>(noise.next()));
        }
      });
      const auto lost = [&] { return d.device->associations() == 1; };
      uint64_t done[2] = {0, 0};
      uint64_t sent[2] = {0, 0};
      for (uint32_t step = 0; step < 400 && !lost(); step++) {
        const uint32_t which = random.below(2);
        const RingView& v = views[which];
        const uint32_t count = 1 + random.below(4);
        for (uint32_t i = 0; i < count; i++) {
          const wire::Sqe sqe = io_entry(random);
          std::memcpy(&v.sq[(sent[which] + i) % v.sq_entries], &sqe, sizeof sqe);
        }
        sent[which] += count;
        shared_word(v.header->sq_tail).store(static_cast<uint32_t>(sent[which]), std::memory_order_release);
        queue.ring();
        // One answer for each entry, whatever became of it and of its cid meanwhile.
        while (done[which] < sent[which] && !lost()) {
          const auto index = static_cast<uint32_t>(done[which]);
          uint32_t last = 0;
          const auto posted = [&] {
            last = shared_word(*reinterpret_cast<uint32_t*>(reinterpret_cast<std::byte*>(&v.cq[index % v.cq_entries]) + 12)).load(std::memory_order_acquire);
            return (last >> 16 & 1u) == (1u ^ ((index / v.cq_entries) & 1u));
          };
          if (words_too) {
            // A head or doorbell that was changed may stall this host for ever: it gives up, nobody else does.
            for (uint32_t i = 0; i < 2000 && !posted() && !lost(); i++) std::this_thread::sleep_for(std::chrono::microseconds(10));
            if (!posted()) break;
          } else if (!comes_true([&] { return posted() || lost(); }) || lost()) {
            report(lost() ? "a host that lied about no word of its rings was ended" : "no completion for 20 s", step, which + 1, wire::Sqe{}, 0);
          }
          if (!words_too && !known(last >> 17 & 0x7ffu)) report("a status nobody knows", step, which + 1, wire::Sqe{}, last >> 17 & 0x7ffu);
          done[which]++;
          completed++;
          shared_word(v.header->cq_head).store(static_cast<uint32_t>(done[which]), std::memory_order_release);
        }
        if (words_too && done[which] < sent[which]) break;
      }
      stop.store(true);
      rewriter.join();
      ended += lost();
    }
    CHECK(comes_true([&] { return d.device->associations() == 1; }));
    wire::Sqe look{};
    look.opc = wire::kOpcodeRead;
    look.nsid = wire::kNsidRaw;
    CHECK(other.run(1, look, 0, 4096).status == 0);
  }
  CHECK(completed > 5000 && ended > 0);
}
#endif
