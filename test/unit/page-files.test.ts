import { describe, expect, it } from 'vitest';
import { pageModules } from '../../daemon/rest/page-files.js';

describe('modules a browser may fetch', () => {
  const modules = pageModules(['play.js', 'status.js']);

  it('are those the pages import, down to the kernel compiler and runtime', () => {
    for (const path of ['clients/pages/browser-host.js', 'pushdown/wasm/compile-plan.js', 'pushdown/runtime/kernel.js', 'clients/node/scan/merge.js']) expect([...modules.keys()]).toContain(path);
  });

  it('need no Node, and nothing of the daemon, the addon or the CLI is among them', () => {
    expect([...modules.keys()].filter((path) => !/^(pushdown|clients\/pages|clients\/node)\//.test(path))).toEqual(['native/dataset-layout.js']);
    for (const [path, { bytes }] of modules) expect(bytes.toString('utf8'), path).not.toMatch(/^import [^;'"]*['"](node:|[^.'"])/m);
  });
});
