#include "core/device/tickets.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace millrace {

namespace {
/** Tickets for associations that nobody came with yet. */
constexpr size_t kAttachTicketsMax = 1024;
}  // namespace

std::string Tickets::secret() {
  std::array<unsigned char, 32> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) throw std::system_error(errno, std::generic_category(), "getrandom");
  std::string ticket;
  for (const unsigned char byte : random) {
    ticket += "0123456789abcdef"[byte >> 4];
    ticket += "0123456789abcdef"[byte & 15];
  }
  return ticket;
}

std::string Tickets::grant_attach(AttachRights rights) {
  std::string ticket = secret();
  const std::lock_guard lock(mutex_);
  issued_.emplace(ticket, Issued{nullptr, false, rights});
  attach_tickets_.push_back(ticket);
  if (attach_tickets_.size() > kAttachTicketsMax) {
    issued_.erase(attach_tickets_.front());
    attach_tickets_.pop_front();
  }
  return ticket;
}

std::string Tickets::grant(const std::vector<BlockRange>& ranges) {
  std::string ticket = secret();
  auto grant = std::make_shared<WriteGrant>();
  grant->extend(ranges);
  const std::lock_guard lock(mutex_);
  issued_.emplace(ticket, Issued{std::move(grant), false, {}});
  return ticket;
}

bool Tickets::extend(const std::string& ticket, const std::vector<BlockRange>& ranges) {
  const std::lock_guard lock(mutex_);
  const auto it = issued_.find(ticket);
  if (it == issued_.end()) return false;
  if (it->second.grant) it->second.grant->extend(ranges);
  return it->second.grant != nullptr;
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

std::optional<Tickets::Redeemed> Tickets::redeem(const std::string& ticket) {
  const std::lock_guard lock(mutex_);
  const auto it = issued_.find(ticket);
  if (it == issued_.end() || it->second.used) return std::nullopt;
  const Redeemed redeemed{it->second.grant, it->second.rights};
  it->second.used = true;
  if (!redeemed.grant) {
    std::erase(attach_tickets_, ticket);
    issued_.erase(it);
  }
  return redeemed;
}

}  // namespace millrace
