#include "core/device/programs.h"

#include <string_view>
#include <utility>

#include "wire/wire.gen.h"

namespace millrace {

std::shared_ptr<const Module> ModuleStore::intern(std::vector<std::byte> bytes) {
  // The digest only finds candidates; equality is decided on the bytes, so a crafted collision costs time, not safety.
  const uint64_t digest = std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const std::lock_guard lock(mutex_);
  auto [it, end] = by_digest_.equal_range(digest);
  while (it != end) {
    const auto module = it->second.lock();
    if (!module) {
      it = by_digest_.erase(it);
      continue;
    }
    if (module->bytes == bytes) return module;
    ++it;
  }
  // Before the table grows, those nobody holds any more are taken out: hosts may load programs for ever.
  if (static_cast<float>(by_digest_.size() + 1) > by_digest_.max_load_factor() * static_cast<float>(by_digest_.bucket_count()))
    std::erase_if(by_digest_, [](const auto& each) { return each.second.expired(); });
  const Sha256 sha = sha256(bytes);
  auto module = std::make_shared<const Module>(Module{next_id_++, std::move(bytes), sha});
  by_digest_.emplace(digest, module);
  return module;
}

uint32_t ProgramTable::load(uint32_t index, const ProgramChunk& c) {
  if (index >= programs_.size()) return wire::kStatusInvalidProgramIndex;
  Program& p = programs_[index];
  if (p.active) return wire::kStatusProgramInUse;
  if (c.type != 0) return wire::kStatusInvalidProgramType;
  if (c.total > kProgramBytesMax) return wire::kStatusProgramTooBig;
  if (c.total == 0 || c.part.empty() || c.part.size() > c.total || c.offset > c.total - c.part.size()) return wire::kStatusInvalidField;
  if (c.offset == 0) {
    p = Program{};
    p.total = c.total;
    p.type = c.type;
    p.id = c.id;
  } else if (p.module || p.total == 0) {
    return wire::kStatusCommandSequenceError;
  } else if (p.total != c.total || p.id != c.id) {
    return wire::kStatusInvalidProgramData;
  } else if (p.loading.size() != c.offset) {
    return wire::kStatusCommandSequenceError;
  }
  p.loading.insert(p.loading.end(), c.part.begin(), c.part.end());
  if (p.loading.size() == p.total) p.module = store_.intern(std::exchange(p.loading, {}));
  return wire::kStatusSuccess;
}

uint32_t ProgramTable::unload(uint32_t index) {
  if (index >= programs_.size()) return wire::kStatusInvalidProgramIndex;
  if (programs_[index].total == 0) return wire::kStatusNoProgram;
  if (programs_[index].active) return wire::kStatusProgramInUse;
  // Open scans hold the module themselves and end undisturbed.
  programs_[index] = Program{};
  return wire::kStatusSuccess;
}

uint32_t ProgramTable::set_active(uint32_t index, bool active) {
  if (index >= programs_.size()) return wire::kStatusInvalidProgramIndex;
  Program& p = programs_[index];
  if (p.total == 0) return wire::kStatusNoProgram;
  if (!p.module) return wire::kStatusCommandSequenceError;  // LOADING
  if (!active && !p.active) return wire::kStatusProgramNotActivated;
  if (!active && p.running.use_count() > 1) return wire::kStatusProgramInUse;
  p.active = active;
  return wire::kStatusSuccess;
}

std::vector<ProgramTable::Entry> ProgramTable::list() const {
  std::vector<Entry> entries;
  for (uint32_t i = 0; i < programs_.size(); i++)
    if (const Program& p = programs_[i]; p.total > 0) entries.push_back({i, p.module != nullptr, p.active, p.type, p.id, p.total});
  return entries;
}

std::shared_ptr<const Module> ProgramTable::active(uint32_t index, uint32_t& status) const {
  status = index >= programs_.size() || !programs_[index].module ? wire::kStatusInvalidProgramIndex
           : !programs_[index].active                            ? wire::kStatusProgramNotActivated
                                                                 : wire::kStatusSuccess;
  return status == wire::kStatusSuccess ? programs_[index].module : nullptr;
}

}  // namespace millrace
