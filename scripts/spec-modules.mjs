// Makes test/security/spec-modules.txt of the WebAssembly specification's test scripts: every module they call invalid or
// malformed, as bytes.
//   node scripts/spec-modules.mjs FOLDER        a folder of .wast files
// The committed file comes from test/spec of Debian's source package binaryen 108-1 (`apt-get source binaryen`), which carries the
// specification's scripts; they and binaryen are under the Apache License 2.0. Modules given as malformed text have no bytes
// and are left out, as are those the assembler itself refuses.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [folder] = process.argv.slice(2);
if (!folder) throw new Error('usage: node scripts/spec-modules.mjs FOLDER');
const assembler = await wabt();
const features = { simd: true, bulk_memory: true, reference_types: true, multi_value: true, threads: true, exceptions: true, tail_call: true, memory64: true, multi_memory: true };

/** Top-level forms of a script, with the line they begin on. */
function forms(text) {
  const found = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text.startsWith(';;', i)) i = text.indexOf('\n', i) < 0 ? text.length : text.indexOf('\n', i);
    else if (text.startsWith('(;', i)) for (let nested = 1, j = i + 2; (i = j), nested > 0 && j < text.length; j++) { if (text.startsWith('(;', j)) nested++; else if (text.startsWith(';)', j)) nested--; }
    else if (text[i] === '"') { for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++; }
    else if (text[i] === '(' && depth++ === 0) start = i;
    else if (text[i] === ')' && --depth === 0) found.push({ line: text.slice(0, start).split('\n').length, text: text.slice(start, i + 1) });
  }
  return found;
}

/** The bytes a string literal of the text format stands for. */
function literal(text) {
  const bytes = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') bytes.push(...Buffer.from(text[i]));
    else if (/^[0-9a-f]{2}$/i.test(text.slice(i + 1, i + 3))) { bytes.push(Number.parseInt(text.slice(i + 1, i + 3), 16)); i += 2; }
    else { bytes.push({ n: 10, r: 13, t: 9 }[text[i + 1]] ?? text.charCodeAt(i + 1)); i++; }
  }
  return Buffer.from(bytes);
}

function bytesOf(module) {
  const binary = /^\(module\s+(?:\$\S+\s+)?binary\b/.exec(module);
  if (binary) return Buffer.concat([...module.slice(binary[0].length).replace(/;;[^\n]*/g, '').matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map((m) => literal(m[1])));
  if (/^\(module\s+quote\b/.test(module)) return undefined;
  try {
    const parsed = assembler.parseWat('spec.wast', module, features);
    try {
      return Buffer.from(parsed.toBinary({}).buffer);
    } finally {
      parsed.destroy();
    }
  } catch {
    return undefined;
  }
}

const lines = new Map();
let left = 0;
for (const file of readdirSync(folder).filter((f) => f.endsWith('.wast')).sort())
  for (const { line, text } of forms(readFileSync(join(folder, file), 'utf8'))) {
    const kind = /^\(assert_(invalid|malformed)\s+/.exec(text);
    if (!kind) continue;
    const inner = forms(text.slice(kind[0].length, -1))[0]?.text ?? '';
    const bytes = bytesOf(inner);
    if (bytes === undefined) left++;
    else if (!lines.has(bytes.toString('base64'))) lines.set(bytes.toString('base64'), `${file}:${line} ${kind[1]} ${bytes.toString('base64')}`);
  }
writeFileSync(join(root, 'test/security/spec-modules.txt'), `${[...lines.values()].join('\n')}\n`);
console.log(`${lines.size} modules, ${left} left out`);
