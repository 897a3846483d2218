// Digests, what a fault may say, and which kernels are refused.
#include <cstring>
#include <string>

#include "core/scan/fault_text.h"
#include "core/scan/quarantine.h"
#include "test.h"

namespace millrace::test {

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string digest_of(const std::string& text) { return hex(sha256(bytes_of(text))); }

std::string said(const std::string& text) {
  const auto bytes = bytes_of(text);
  return fault_text(bytes.data(), bytes.size());
}

}  // namespace

TEST(sha256_gives_the_digests_of_the_standard) {
  CHECK(digest_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest_of(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(fault_texts_are_one_line_of_well_formed_utf8) {
  CHECK(said("out of bounds: 7 \u00fc \u20ac \U0001f41b") == "out of bounds: 7 \u00fc \u20ac \U0001f41b");
  CHECK(said(std::string("a\0b\n\x1b[2J\x7f", 8)) == "a?b??[2J");
  CHECK(said("\xc2\x9b" "x") == "?x");
  for (const char* broken : {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82"})
    CHECK(said(broken) == std::string(std::strlen(broken), '?'));
  const std::string cut = said(std::string(kFaultTextBytesMax - 1, 'x') + "\u20ac");
  CHECK(cut == std::string(kFaultTextBytesMax - 1, 'x') + "?");
  CHECK(said("").empty());
}

TEST(a_kernel_is_refused_after_its_strikes_and_no_other) {
  Quarantine quarantine;
  const Module bad{1, bytes_of("bad kernel")};
  const Module again{2, bytes_of("bad kernel")};
  const Module good{3, bytes_of("good kernl")};
  for (uint32_t strike = 1; strike < kCrashesMax; strike++) CHECK(quarantine.strike(bad).empty() && !quarantine.refuses(bad));
  CHECK(quarantine.strike(again) == digest_of("bad kernel"));
  CHECK(quarantine.strike(bad).empty());
  CHECK(quarantine.refuses(bad) && quarantine.refuses(again) && !quarantine.refuses(good));
  CHECK(quarantine.refused() == std::vector{digest_of("bad kernel")});
  // A flood of others neither grows without bound nor pardons it.
  for (uint32_t i = 0; i < 2 * kCrashRecordsMax; i++) quarantine.strike(Module{4 + i, bytes_of(std::to_string(i))});
  CHECK(quarantine.refuses(bad) && quarantine.refused().size() == 1);
}

}  // namespace millrace::test
