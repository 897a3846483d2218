#!/usr/bin/env node
// better-sqlite3 installs itself by `prebuild-install || node-gyp rebuild`: a download from elsewhere, or a compile of minutes for the
// Node that runs npm. The daemon needs neither, it loads what scripts/build-sqlite.mjs makes for the pinned Node. Ending well is the answer.
