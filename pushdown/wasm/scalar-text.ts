import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { NodeOf } from './ir.js';
import { likePiecesFunction } from './like-pattern.js';
import { type KernelModule, words } from './kernel-module.js';
import type { ScalarCompiler, Validity } from './scalar.js';
import { Unsupported } from './unsupported.js';

const dictionaryBytesMax = 4 << 20;

/** (address, bytes, address, bytes) -> below 0, 0, above 0: order by bytes. */
export function compareTextFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('compare_text', ['i32', 'i32', 'i32', 'i32'], ['i32'], (f) => {
    const [a, aBytes, b, bBytes] = f.params as [Local, Local, Local, Local];
    const least = f.local('i32');
    const i = f.local('i32');
    const difference = f.local('i32');
    f.get(aBytes).get(bBytes).get(aBytes).get(bBytes).op('i32.lt_u', 'select').set(least).i32(0).set(i);
    f.while(
      () => f.get(i).get(least).op('i32.lt_u'),
      () => {
        f.get(a).get(i).op('i32.add').mem('i32.load8_u').get(b).get(i).op('i32.add').mem('i32.load8_u', 0).op('i32.sub').tee(difference).if(() => {
          f.get(difference).op('return');
        });
        f.add(i, 1);
      },
    );
    f.get(aBytes).get(bBytes).op('i32.sub');
  });
}

/** (address, bytes, address, bytes) -> 1 if equal. */
export function equalTextFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('equal_text', ['i32', 'i32', 'i32', 'i32'], ['i32'], (f) => {
    const [a, aBytes, b, bBytes] = f.params as [Local, Local, Local, Local];
    f.get(aBytes).get(bBytes).op('i32.ne').if(() => {
      f.i32(0).op('return');
    });
    const end = f.local('i32');
    f.get(a).get(aBytes).op('i32.add').set(end);
    f.while(
      () => f.get(a).i32(8).op('i32.add').get(end).op('i32.le_u'),
      () => {
        f.get(a).mem('i64.load', 0, 0).get(b).mem('i64.load', 0, 0).op('i64.ne').if(() => {
          f.i32(0).op('return');
        });
        f.add(a, 8).add(b, 8);
      },
    );
    f.while(
      () => f.get(a).get(end).op('i32.lt_u'),
      () => {
        f.get(a).mem('i32.load8_u').get(b).mem('i32.load8_u').op('i32.ne').if(() => {
          f.i32(0).op('return');
        });
        f.add(a, 1).add(b, 1);
      },
    );
    f.i32(1);
  });
}

export function emitTextCompare(c: ScalarCompiler, node: NodeOf<'compare'>): Validity {
  const { f } = c;
  const left = c.value(node.left);
  const right = c.value(node.right);
  if (node.cmp === 'eq' || node.cmp === 'ne') {
    f.call(equalTextFunction(c.kernel));
    if (node.cmp === 'ne') f.op('i32.eqz');
  } else f.call(compareTextFunction(c.kernel)).i32(0).op(`i32.${node.cmp}_s`);
  return c.both(left, right);
}

export function emitLike(c: ScalarCompiler, node: NodeOf<'like'>): Validity {
  const { f } = c;
  const valid = c.value(node.arg);
  if (!node.pattern.text.includes('_')) {
    f.call(likePiecesFunction(c.kernel, node.pattern.text));
    return valid;
  }
  const pattern = new TextEncoder().encode(node.pattern.text);
  f.i32(c.kernel.data(pattern, 1)).i32(pattern.length).call(likeFunction(c.kernel));
  return valid;
}

const percent = 0x25;
const underscore = 0x5f;

/** (address, bytes, pattern, pattern bytes) -> 1 if it matches: greedy, one place to come back to, so linear in text times pattern. */
function likeFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('like', ['i32', 'i32', 'i32', 'i32'], ['i32'], (f) => {
    const [text, textBytes, pattern, patternBytes] = f.params as [Local, Local, Local, Local];
    const [textEnd, patternEnd, star, resume, byte] = [1, 2, 3, 4, 5].map(() => f.local('i32')) as [Local, Local, Local, Local, Local];
    f.get(text).get(textBytes).op('i32.add').set(textEnd).get(pattern).get(patternBytes).op('i32.add').set(patternEnd).i32(0).set(star);
    /** Past one character: its first byte and the continuation bytes after it. */
    const skipCharacter = (at: Local) => {
      f.add(at, 1);
      f.while(
        () => f.get(at).get(textEnd).op('i32.lt_u').if(() => f.get(at).mem('i32.load8_u').i32(0xc0).op('i32.and').i32(0x80).op('i32.eq'), () => f.i32(0), 'i32'),
        () => f.add(at, 1),
      );
    };
    f.block((done) => {
      f.loop((next) => {
        f.get(text).get(textEnd).op('i32.ge_u').brIf(done);
        f.get(pattern).get(patternEnd).op('i32.lt_u').if(() => {
          f.get(pattern).mem('i32.load8_u').tee(byte).i32(percent).op('i32.eq').if(() => {
            f.add(pattern, 1).get(pattern).set(star).get(text).set(resume).br(next);
          });
          f.get(byte).i32(underscore).op('i32.eq').if(() => {
            skipCharacter(text);
            f.add(pattern, 1).br(next);
          });
          f.get(byte).get(text).mem('i32.load8_u').op('i32.eq').if(() => {
            f.add(text, 1).add(pattern, 1).br(next);
          });
        });
        f.get(star).op('i32.eqz').if(() => {
          f.i32(0).op('return');
        });
        skipCharacter(resume);
        f.get(resume).set(text).get(star).set(pattern).br(next);
      });
    });
    f.while(
      () => f.get(pattern).get(patternEnd).op('i32.lt_u').if(() => f.get(pattern).mem('i32.load8_u').i32(percent).op('i32.eq'), () => f.i32(0), 'i32'),
      () => f.add(pattern, 1),
    );
    f.get(pattern).get(patternEnd).op('i32.eq');
  });
}

/** Address and bytes of a dictionary entry, from a copy of the dictionary in the kernel's data. */
export function emitDictString(c: ScalarCompiler, node: NodeOf<'dictString'>): Validity {
  const { f } = c;
  const entries = node.dictionary.map((s) => new TextEncoder().encode(s));
  const total = entries.reduce((n, e) => n + e.length, 0);
  if (total + entries.length * 4 > dictionaryBytesMax) throw new Unsupported(`a dictionary of ${total} bytes as strings`);
  const text = new Uint8Array(total);
  const offsets = [0];
  for (const entry of entries) {
    const at = offsets.at(-1) ?? 0;
    text.set(entry, at);
    offsets.push(at + entry.length);
  }
  const textAt = c.kernel.data(text, 1);
  const offsetsAt = c.kernel.data(words(offsets), 4);
  const valid = c.value(node.arg);
  const [code] = c.store(node.arg.rep) as [Local];
  // NULL rows hold any code; entry 0 is as good as any there.
  const entry = f.local('i32');
  f.get(code).i32(0).get(code).i32(entries.length).op('i32.lt_u', 'select').i32(2).op('i32.shl').set(entry);
  f.get(entry).mem('i32.load', offsetsAt).i32(textAt).op('i32.add');
  f.get(entry).mem('i32.load', offsetsAt + 4).get(entry).mem('i32.load', offsetsAt).op('i32.sub');
  return valid;
}
