#include <array>
#include <map>
#include <thread>
#include <vector>

#include "core/crc32c.h"
#include "core/device/block_ranges.h"
#include "core/scan/morsel_pool.h"
#include "core/slm/resident_cache.h"
#include "test.h"

using namespace millrace;
using test::Random;

namespace {

uint32_t crc_by_table(const std::vector<unsigned char>& bytes, size_t from, size_t length, uint32_t seed) {
  static const auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = ~seed;
  for (size_t i = from; i < from + length; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
  return ~crc;
}

}  // namespace

TEST(crc32c_equals_the_table_and_the_published_check_value) {
  CHECK(crc32c("123456789", 9) == 0xe3069283u);
  CHECK(crc32c("", 0) == 0);
  Random random(3);
  std::vector<unsigned char> bytes(100'000);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random.next());
  for (int i = 0; i < 300; i++) {
    const size_t from = random.below(64);
    const size_t length = i < 100 ? static_cast<size_t>(i) : random.below(i % 3 ? 30'000 : 99'000);
    const uint32_t seed = i % 2 ? static_cast<uint32_t>(random.next()) : 0;
    CHECK(crc32c(bytes.data() + from, length, seed) == crc_by_table(bytes, from, length, seed));
    const size_t cut = length == 0 ? 0 : random.below(static_cast<uint32_t>(length));
    CHECK(crc32c(bytes.data() + from + cut, length - cut, crc32c(bytes.data() + from, cut, seed)) == crc32c(bytes.data() + from, length, seed));
  }
}

TEST(page_allocator_never_overlaps_and_comes_back_whole) {
  constexpr uint64_t kBase = 8 * kPageBytes;
  constexpr uint64_t kPages = 512;
  PageAllocator pages(kBase, kPages * kPageBytes);
  std::map<uint64_t, uint64_t> held;
  std::vector<bool> used(kPages);
  Random random(4);
  for (int step = 0; step < 20'000; step++) {
    if (random.below(2) == 0) {
      const uint64_t bytes = 1 + random.below(20 * kPageBytes);
      const auto at = pages.take(bytes);
      if (!at) continue;
      CHECK(*at % kPageBytes == 0 && *at >= kBase && *at + bytes <= kBase + kPages * kPageBytes);
      for (uint64_t p = (*at - kBase) / kPageBytes; p < (*at - kBase + bytes + kPageBytes - 1) / kPageBytes; p++) {
        CHECK(!used[p]);
        used[p] = true;
      }
      held.emplace(*at, bytes);
    } else if (!held.empty()) {
      const auto it = std::next(held.begin(), random.below(static_cast<uint32_t>(held.size())));
      pages.give(it->first, it->second);
      for (uint64_t p = (it->first - kBase) / kPageBytes; p < (it->first - kBase + it->second + kPageBytes - 1) / kPageBytes; p++) used[p] = false;
      held.erase(it);
    }
  }
  for (const auto& [at, bytes] : held) pages.give(at, bytes);
  CHECK(pages.free_bytes() == kPages * kPageBytes);
  CHECK(pages.take(kPages * kPageBytes) == kBase);  // one piece again
}

TEST(block_ranges_equal_a_bitmap) {
  Random random(5);
  for (int round = 0; round < 200; round++) {
    BlockRanges ranges;
    std::vector<bool> bits(300);
    for (int i = 0; i < 20; i++) {
      const uint64_t at = random.below(280);
      const uint64_t count = random.below(20);
      ranges.add({at, count});
      for (uint64_t b = at; b < at + count; b++) bits[b] = true;
      const uint64_t from = random.below(280);
      const uint64_t length = random.below(20);
      uint64_t covered = 0;
      for (uint64_t b = from; b < from + length; b++) covered += bits[b];
      CHECK(ranges.covered(from, length) == covered);
      CHECK(ranges.contains(from, length) == (covered == length));
    }
  }
}

TEST(resident_cache_keeps_pinned_chunks_and_puts_the_oldest_out) {
  ResidentCache cache(0, 4 * kPageBytes);
  auto load = [&](uint32_t n) {
    const auto entry = cache.find({1, n, 0}, kPageBytes, true);
    CHECK(entry.found == ResidentCache::Found::kReserved);
    cache.publish({1, n, 0});
    return entry.offset;
  };
  const uint64_t at = load(0);
  for (uint32_t n = 1; n < 4; n++) {
    load(n);
    cache.unpin({1, n, 0});
  }
  CHECK(cache.find({1, 1, 0}, kPageBytes, true).found == ResidentCache::Found::kHit);  // 1 is young again
  cache.unpin({1, 1, 0});
  load(9);  // puts 2 out; 0 is pinned
  CHECK(cache.find({1, 2, 0}, kPageBytes, false).found == ResidentCache::Found::kNo);
  const auto pinned = cache.find({1, 0, 0}, kPageBytes, false);
  CHECK(pinned.found == ResidentCache::Found::kHit && pinned.offset == at);
  CHECK(cache.find({2, 0, 0}, 4 * kPageBytes, true).found == ResidentCache::Found::kNo);  // pinned ones stay, all others went
  CHECK(cache.stats().evictions == 3);
  cache.unpin({1, 0, 0});
  cache.unpin({1, 0, 0});
  cache.unpin({1, 9, 0});
  cache.drop_dataset(1);
  CHECK(cache.stats().bytes == 0);
}

TEST(resident_cache_gives_a_chunk_under_way_to_nobody_else) {
  ResidentCache cache(0, 4 * kPageBytes);
  CHECK(cache.find({1, 0, 0}, 100, true).found == ResidentCache::Found::kReserved);
  CHECK(cache.find({1, 0, 0}, 100, true).found == ResidentCache::Found::kNo);
  cache.abandon({1, 0, 0});
  CHECK(cache.stats().bytes == 0);
  CHECK(cache.find({1, 0, 0}, 100, true).found == ResidentCache::Found::kReserved);
  cache.publish({1, 0, 0});
  cache.unpin({1, 0, 0});
}

TEST(morsel_pool_gives_each_morsel_once_to_racing_takers) {
  Random random(6);
  for (int round = 0; round < 50; round++) {
    const uint32_t morsels = random.below(5000);
    MorselPool pool(morsels);
    std::vector<std::atomic<uint32_t>> taken(morsels);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
      threads.emplace_back([&, t] {
        Random mine(static_cast<uint64_t>(round * 10 + t));
        for (;;) {
          const MorselRun run = t % 2 ? pool.take_tail(1 + mine.below(16)) : pool.take_head(1 + mine.below(2));
          if (run.count == 0) return;
          for (uint32_t i = 0; i < run.count; i++) taken[run.first + i]++;
        }
      });
    for (auto& thread : threads) thread.join();
    CHECK(pool.left() == 0);
    for (const auto& count : taken) CHECK(count == 1);
  }
}
