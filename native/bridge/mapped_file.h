// A file's bytes as a Uint8Array backed by the page cache.
#pragma once
#include <napi.h>

namespace millrace::bridge {

// (fd) -> Uint8Array over the whole file, copy on write, unmapped when it is collected. The descriptor may be closed afterwards.
// If the file shrinks meanwhile, reading its lost pages ends the process (SIGBUS): only for processes that may die.
// Throws { code: "MR_FILE_INVALID" }.
Napi::Value map_file(const Napi::CallbackInfo& info);

}  // namespace millrace::bridge
