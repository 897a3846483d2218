#include "core/device/tickets.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace millrace {

std::string Tickets::grant(const std::vector<BlockRange>& ranges) {
  std::array<unsigned char, 32> secret{};
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) throw std::system_error(errno, std::generic_category(), "getrandom");
  std::string ticket;
  for (const unsigned char byte : secret) {
    ticket += "0123456789abcdef"[byte >> 4];
    ticket += "0123456789abcdef"[byte & 15];
  }
  auto grant = std::make_shared<WriteGrant>();
  grant->extend(ranges);
  const std::lock_guard lock(mutex_);
  issued_.emplace(ticket, Issued{std::move(grant), false});
  return ticket;
}

bool Tickets::extend(const std::string& ticket, const std::vector<BlockRange>& ranges) {
  const std::lock_guard lock(mutex_);
  const auto it = issued_.find(ticket);
  if (it == issued_.end()) return false;
  it->second.grant->extend(ranges);
  return true;
}

void WriteGrant::end_write() {
  std::function<void()> quiet;
  {
    const std::lock_guard lock(mutex_);
    if (--in_flight_ == 0) quiet = std::exchange(quiet_, nullptr);
  }
  if (quiet) quiet();
}

void WriteGrant::revoke(std::function<void()> quiet) {
  {
    const std::lock_guard lock(mutex_);
    ranges_.clear();
    if (in_flight_ > 0) {
      quiet_ = std::move(quiet);
      return;
    }
  }
  quiet();
}

void Tickets::revoke(const std::string& ticket, std::function<void()> quiet) {
  std::shared_ptr<WriteGrant> grant;
  {
    const std::lock_guard lock(mutex_);
    const auto it = issued_.find(ticket);
    if (it != issued_.end()) {
      grant = std::move(it->second.grant);
      issued_.erase(it);
    }
  }
  if (grant) grant->revoke(std::move(quiet));
  else quiet();
}

std::shared_ptr<WriteGrant> Tickets::redeem(const std::string& ticket) {
  const std::lock_guard lock(mutex_);
  const auto it = issued_.find(ticket);
  if (it == issued_.end() || it->second.used) return nullptr;
  it->second.used = true;
  return it->second.grant;
}

}  // namespace millrace
