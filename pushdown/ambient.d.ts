// The only platform names pushdown may use: they exist in Node, in browsers and in slots alike.
declare namespace WebAssembly {
  class Module { constructor(bytes: BufferSource); static imports(m: Module): { module: string; name: string; kind: string }[]; static exports(m: Module): { name: string; kind: string }[]; static customSections(m: Module, name: string): ArrayBuffer[] }
  class Instance { constructor(m: Module, imports?: Record<string, Record<string, unknown>>); readonly exports: Record<string, unknown> }
  class Memory { constructor(d: { initial: number; maximum?: number; shared?: boolean }); readonly buffer: ArrayBuffer; grow(pages: number): number }
  class Global { private constructor(); readonly value: unknown }
  class RuntimeError extends Error {}
  class CompileError extends Error {}
  class LinkError extends Error {}
  function validate(bytes: BufferSource): boolean;
}
type BufferSource = ArrayBufferView | ArrayBuffer;
declare class TextEncoder { encode(s: string): Uint8Array<ArrayBuffer> }
declare class TextDecoder { constructor(label?: string, o?: { fatal?: boolean }); decode(b?: BufferSource): string }
