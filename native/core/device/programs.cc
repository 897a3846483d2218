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
  auto module = std::make_shared<const Module>(Module{next_id_++, std::move(bytes)});
  by_digest_.emplace(digest, module);
  return module;
}

uint32_t ProgramTable::load(uint32_t index, uint32_t total, uint32_t offset, const std::byte* part, uint32_t part_bytes) {
  if (index >= programs_.size()) return wire::kStatusInvalidProgramIndex;
  Program& p = programs_[index];
  if (p.active) return wire::kStatusCommandSequenceError;
  if (total == 0 || total > kProgramBytesMax || part_bytes == 0 || part_bytes > total || offset > total - part_bytes) return wire::kStatusInvalidField;
  if (offset == 0) {
    p.module.reset();
    p.loading.clear();
    p.total = total;
  } else if (p.module || p.total != total || p.loading.size() != offset) {
    return wire::kStatusCommandSequenceError;
  }
  p.loading.insert(p.loading.end(), part, part + part_bytes);
  if (p.loading.size() == p.total) p.module = store_.intern(std::exchange(p.loading, {}));
  return wire::kStatusSuccess;
}

uint32_t ProgramTable::unload(uint32_t index) {
  if (index >= programs_.size()) return wire::kStatusInvalidProgramIndex;
  // Open scans hold the module themselves and end undisturbed.
  programs_[index] = Program{};
  return wire::kStatusSuccess;
}

uint32_t ProgramTable::set_active(uint32_t index, bool active) {
  if (index >= programs_.size()) return wire::kStatusInvalidProgramIndex;
  if (!programs_[index].module) return active ? wire::kStatusCommandSequenceError : wire::kStatusSuccess;
  programs_[index].active = active;
  return wire::kStatusSuccess;
}

std::shared_ptr<const Module> ProgramTable::active(uint32_t index, uint32_t& status) const {
  status = index >= programs_.size() || !programs_[index].module ? wire::kStatusInvalidProgramIndex
           : !programs_[index].active                            ? wire::kStatusProgramNotActivated
                                                                 : wire::kStatusSuccess;
  return status == wire::kStatusSuccess ? programs_[index].module : nullptr;
}

}  // namespace millrace
