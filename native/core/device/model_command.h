// What a command on a queue asks of the device's media, for the model: offset and bytes are the media's.
#pragma once
#include <cstring>
#include <optional>

#include "core/device/command_table.h"
#include "core/limits.h"
#include "core/model/command.h"

namespace millrace {

/** nullopt: it touches no media. The command was valid. */
inline std::optional<ModelCommand> model_command(Command command, const wire::Sqe& sqe) {
  const uint64_t slba = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  const uint64_t bytes = (uint64_t{sqe.cdw12 & 0xffffu} + 1) * kBlockBytes;
  constexpr uint32_t kForceUnitAccess = 1u << 30;
  switch (command) {
    case Command::kRead: return ModelCommand{.op = ModelOp::kRead, .offset = slba * kBlockBytes, .bytes = bytes};
    case Command::kWrite: return ModelCommand{.op = ModelOp::kWrite, .offset = slba * kBlockBytes, .bytes = bytes, .fua = (sqe.cdw12 & kForceUnitAccess) != 0};
    case Command::kFlush: return ModelCommand{.op = ModelOp::kFlush};
    // No data crosses the link.
    case Command::kVerify: return ModelCommand{.op = ModelOp::kRead, .port = ModelPort::kDevice, .offset = slba * kBlockBytes, .bytes = bytes};
    case Command::kWriteZeroes: return ModelCommand{.op = ModelOp::kWrite, .port = ModelPort::kDevice, .offset = slba * kBlockBytes, .bytes = bytes, .fua = (sqe.cdw12 & kForceUnitAccess) != 0};
    default: return std::nullopt;
  }
}

}  // namespace millrace
