// What each command does, except scans (scan/scan_commands.cc). Runs on the association's I/O thread.
#pragma once
#include <memory>

#include "core/device/association.h"
#include "core/device/backing_file.h"
#include "core/device/counters.h"
#include "core/device/datasets.h"
#include "core/slm/slm.h"

namespace millrace {

class BlockCommands {
 public:
  BlockCommands(const BackingFile& backing, const DatasetTable& datasets, Counters& counters) : backing_(backing), datasets_(datasets), counters_(counters) {}
  CommandResult read(const Association& association, const wire::Sqe& sqe) const;
  CommandResult write(const Association& association, const wire::Sqe& sqe) const;

 private:
  const BackingFile& backing_;
  const DatasetTable& datasets_;
  Counters& counters_;
};

class MemoryCommands {
 public:
  MemoryCommands(const BackingFile& backing, const Slm& slm, Counters& counters) : backing_(backing), slm_(slm), counters_(counters) {}
  CommandResult copy(const Association& association, const wire::Sqe& sqe) const;
  CommandResult read(const Association& association, const wire::Sqe& sqe) const;

 private:
  const BackingFile& backing_;
  const Slm& slm_;
  Counters& counters_;
};

/** Load Program, Program Activation Management. */
CommandResult load_program(Association& association, const wire::Sqe& sqe);
CommandResult activate_program(Association& association, const wire::Sqe& sqe);
/** ChunkRecord[] of one column, or of all dictionaries. */
CommandResult dataset_layout(const Association& association, const DatasetTable& datasets, const wire::Sqe& sqe);

}  // namespace millrace
