import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

export const chromiumPath = process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium';
export const chromiumMissing = !existsSync(chromiumPath);

/** A headless Chromium with a profile of its own that goes away with it, and nothing going on in the background. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
}
