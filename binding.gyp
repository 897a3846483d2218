{
  "variables": { "sqlite_dir": "<!(node -p \"require('node:path').dirname(require.resolve('better-sqlite3/deps/sqlite3/sqlite3.c'))\")" },
  "target_defaults": {
    "cflags_cc": ["-std=c++20", "-O3", "-msse4.2", "-mpclmul", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fno-strict-aliasing"],
    "cflags_cc!": ["-std=gnu++20", "-fno-exceptions", "-fno-rtti"],
    "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_DEPRECATED"],
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native", "<(sqlite_dir)"]
  },
  "targets": [
    {
      "target_name": "sqlite",
      "type": "static_library",
      "sources": ["native/core/kv/sqlite/sqlite.c"],
      "include_dirs": ["<(sqlite_dir)"],
      "cflags": ["-O2", "-w"]
    },
    {
      "target_name": "millrace",
      "dependencies": ["sqlite"],
      "sources": ["<!@(node scripts/list-sources.mjs native/core native/bridge native/binding)"],
      "libraries": ["-ldl", "-lpthread"]
    },
    {
      "target_name": "millrace_slot",
      "sources": ["<!@(node scripts/list-sources.mjs native/jail/slot)"]
    },
    {
      "target_name": "slot_launcher",
      "type": "executable",
      "sources": ["<!@(node scripts/list-sources.mjs native/jail/launcher)"]
    }
  ]
}
