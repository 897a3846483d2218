import type { KernelModule } from './kernel-module.js';

/** Entry m: the indices of the bits set in m, as bytes; the rest 0. 256 x 8. */
export function bitIndexTable(kernel: KernelModule): number {
  return kernel.table('bit-index', () => {
    const bytes = new Uint8Array(256 * 8);
    for (let m = 0; m < 256; m++) {
      let at = m * 8;
      for (let bit = 0; bit < 8; bit++) if (m & (1 << bit)) bytes[at++] = bit;
    }
    return bytes;
  });
}

/** Entry m: a swizzle that moves the elements of `width` bytes whose bit is set in m to the front. (16 / width bits of m) x 16. */
export function swizzleTable(kernel: KernelModule, width: 2 | 4 | 8): number {
  return kernel.table(`swizzle-${width}`, () => {
    const lanes = 16 / width;
    const bytes = new Uint8Array((1 << lanes) * 16);
    for (let m = 0; m < 1 << lanes; m++) {
      let at = m * 16;
      for (let lane = 0; lane < lanes; lane++) if (m & (1 << lane)) for (let b = 0; b < width; b++) bytes[at++] = lane * width + b;
    }
    return bytes;
  });
}
