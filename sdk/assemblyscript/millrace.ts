// Columns in and out for kernels in AssemblyScript: the Arrow C Data Interface as Millrace lays it into a kernel's memory
// (docs/kernels.md). Everything allocated while a row group is worked on is forgotten before the next one.

/** What process() and finish() return. GIVE: the batch at `output` is ready and the input is used up. MORE: ready, call again. */
export const GIVE: i32 = 3;
export const MORE: i32 = 1;
/** Nothing to give yet; the input is used up. */
export const NOTHING: i32 = 2;

/** Formats of columns. */
export namespace Type {
  export const Bool = 'b';
  export const I8 = 'c';
  export const I16 = 's';
  export const I32 = 'i';
  export const I64 = 'l';
  export const F32 = 'f';
  export const F64 = 'g';
  export const Utf8 = 'u';
}

/** One column of an input batch. */
@final
export class Column {
  private readonly validity: usize;
  private readonly second: usize;
  private readonly third: usize;

  constructor(array: usize) {
    const buffers = <usize>load<u32>(array, 40);
    this.validity = <usize>load<u32>(buffers, 0);
    this.second = <usize>load<u32>(buffers, 4);
    this.third = load<i64>(array, 24) > 2 ? <usize>load<u32>(buffers, 8) : 0;
  }

  isNull(row: i32): bool {
    return this.validity != 0 && ((load<u8>(this.validity + (row >> 3)) >> (row & 7)) & 1) == 0;
  }

  bool(row: i32): bool { return ((load<u8>(this.second + (row >> 3)) >> (row & 7)) & 1) != 0; }
  i8(row: i32): i8 { return load<i8>(this.second + row); }
  i16(row: i32): i16 { return load<i16>(this.second + (<usize>row << 1)); }
  i32(row: i32): i32 { return load<i32>(this.second + (<usize>row << 2)); }
  i64(row: i32): i64 { return load<i64>(this.second + (<usize>row << 3)); }
  f32(row: i32): f32 { return load<f32>(this.second + (<usize>row << 2)); }
  f64(row: i32): f64 { return load<f64>(this.second + (<usize>row << 3)); }
  /** Address of a text's UTF-8 bytes. */
  at(row: i32): usize { return this.third + <usize>load<i32>(this.second + (<usize>row << 2)); }
  /** Bytes of a text. */
  bytes(row: i32): i32 { return load<i32>(this.second + (<usize>row << 2), 4) - load<i32>(this.second + (<usize>row << 2)); }
  /** A text as a string of AssemblyScript, decoded. */
  text(row: i32): string { return String.UTF8.decodeUnsafe(this.at(row), <usize>this.bytes(row)); }
}

/** An input batch. Its bytes are the host's: reading is all one may do with them. */
@final
export class Batch {
  readonly rows: i32;
  readonly columns: i32;
  private readonly children: usize;

  constructor(address: usize) {
    this.rows = <i32>load<i64>(address, 0);
    this.columns = <i32>load<i64>(address, 32);
    this.children = <usize>load<u32>(address, 44);
  }

  column(index: i32): Column {
    if (<u32>index >= <u32>this.columns) unreachable();
    return new Column(<usize>load<u32>(this.children + (<usize>index << 2)));
  }
}

/** Bytes that grow. */
@final
class Buffer {
  at: usize = 0;
  length: usize = 0;
  private capacity: usize = 0;

  /** Room for `bytes` more, cleared; gives its address. */
  grow(bytes: usize): usize {
    const end = this.length + bytes;
    if (end > this.capacity) {
      let capacity = max<usize>(this.capacity * 2, 4096);
      while (capacity < end) capacity *= 2;
      const moved = heap.alloc(capacity);
      if (this.length > 0) memory.copy(moved, this.at, this.length);
      memory.fill(moved + this.length, 0, capacity - this.length);
      this.at = moved;
      this.capacity = capacity;
    }
    const address = this.at + this.length;
    this.length = end;
    return address;
  }

  clear(): void {
    if (this.length > 0) memory.fill(this.at, 0, this.length);
    this.length = 0;
  }
}

/** One column of the output: values are pushed row by row. */
@final
export class OutputColumn {
  readonly width: i32;
  private rows: i32 = 0;
  private nulls: i32 = 0;
  private readonly validity: Buffer = new Buffer();
  private readonly offsets: Buffer = new Buffer();
  private readonly data: Buffer = new Buffer();
  private readonly array: usize = heap.alloc(64);
  private readonly buffers: usize = heap.alloc(16);

  constructor(readonly name: string, readonly format: string) {
    const c = format.charCodeAt(0);
    this.width = c == 0x63 ? 1 : c == 0x73 ? 2 : c == 0x69 || c == 0x66 ? 4 : c == 0x6c || c == 0x67 ? 8 : 0;
    memory.fill(this.array, 0, 64);
    if (c == 0x75) this.offsets.grow(4);
  }

  pushBool(value: bool): void {
    this.next(true);
    const row = this.rows - 1;
    if ((row & 7) == 0) this.data.grow(1);
    if (value) {
      const byte = this.data.at + (row >> 3);
      store<u8>(byte, load<u8>(byte) | (<u8>1 << <u8>(row & 7)));
    }
  }
  pushI8(value: i8): void { this.next(true); store<i8>(this.data.grow(1), value); }
  pushI16(value: i16): void { this.next(true); store<i16>(this.data.grow(2), value); }
  pushI32(value: i32): void { this.next(true); store<i32>(this.data.grow(4), value); }
  pushI64(value: i64): void { this.next(true); store<i64>(this.data.grow(8), value); }
  pushF32(value: f32): void { this.next(true); store<f32>(this.data.grow(4), value); }
  pushF64(value: f64): void { this.next(true); store<f64>(this.data.grow(8), value != value ? NaN : value); }
  /** UTF-8 bytes, copied. */
  pushBytes(at: usize, bytes: i32): void {
    this.next(true);
    if (bytes > 0) memory.copy(this.data.grow(<usize>bytes), at, <usize>bytes);
    store<i32>(this.offsets.grow(4), <i32>this.data.length);
  }
  pushText(value: string): void {
    const bytes = <i32>String.UTF8.byteLength(value);
    this.next(true);
    if (bytes > 0) String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, this.data.grow(<usize>bytes));
    store<i32>(this.offsets.grow(4), <i32>this.data.length);
  }
  pushNull(): void {
    this.next(false);
    this.nulls++;
    const c = this.format.charCodeAt(0);
    if (c == 0x75) store<i32>(this.offsets.grow(4), <i32>this.data.length);
    else if (c == 0x62) { if (((this.rows - 1) & 7) == 0) this.data.grow(1); }
    else this.data.grow(<usize>this.width);
  }

  private next(valid: bool): void {
    const row = this.rows++;
    if ((row & 7) == 0) this.validity.grow(1);
    if (valid) {
      const byte = this.validity.at + (row >> 3);
      store<u8>(byte, load<u8>(byte) | (<u8>1 << <u8>(row & 7)));
    }
  }

  count(): i32 { return this.rows; }

  clear(): void {
    this.rows = 0;
    this.nulls = 0;
    this.validity.clear();
    this.data.clear();
    this.offsets.clear();
    if (this.format.charCodeAt(0) == 0x75) this.offsets.grow(4);
  }

  /** The ArrowArray of what was pushed. */
  arrow(): usize {
    const text = this.format.charCodeAt(0) == 0x75;
    if (this.data.at == 0) { this.data.grow(8); this.data.length = 0; }
    store<i64>(this.array, <i64>this.rows, 0);
    store<i64>(this.array, <i64>this.nulls, 8);
    store<i64>(this.array, text ? 3 : 2, 24);
    store<u32>(this.array, <u32>this.buffers, 40);
    store<u32>(this.buffers, this.nulls > 0 ? <u32>this.validity.at : 0, 0);
    store<u32>(this.buffers, <u32>(text ? this.offsets.at : this.data.at), 4);
    store<u32>(this.buffers, <u32>(text ? this.data.at : 0), 8);
    return this.array;
  }
}

/** Columns of a batch that is put out, or of a schema that is told. */
@final
export class Columns {
  private readonly columns: Array<OutputColumn> = [];

  add(name: string, format: string): OutputColumn {
    const column = new OutputColumn(name, format);
    this.columns.push(column);
    return column;
  }

  /** Rows pushed so far. */
  get rows(): i32 { return this.columns.length == 0 ? 0 : this.columns[0].count(); }

  /** Forgets the rows. Not before those that were given have been taken: at the next call of process() or finish(). */
  clear(): void {
    for (let i = 0; i < this.columns.length; i++) this.columns[i].clear();
  }

  /** Puts the rows out: writes the ArrowArray at `output`. GIVE, or NOTHING when there are none. */
  give(output: usize): i32 {
    const count = this.columns.length;
    const rows = this.rows;
    if (rows == 0) return NOTHING;
    const children = heap.alloc(<usize>count * 4 + 4);
    for (let i = 0; i < count; i++) store<u32>(children + (<usize>i << 2), <u32>this.columns[i].arrow());
    memory.fill(output, 0, 64);
    store<i64>(output, <i64>rows, 0);
    store<i64>(output, 1, 24);
    store<i64>(output, <i64>count, 32);
    store<u32>(output, <u32>(children + <usize>count * 4), 40);
    store<u32>(children + <usize>count * 4, 0);
    store<u32>(output, <u32>children, 44);
    return GIVE;
  }

  /** The ArrowSchema of the columns. */
  schema(): usize {
    const count = this.columns.length;
    const root = heap.alloc(48 + <usize>count * 52);
    memory.fill(root, 0, 48 + <usize>count * 52);
    const list = root + 48;
    const children = list + <usize>count * 4;
    store<u32>(root, <u32>text('+s'), 0);
    store<u32>(root, <u32>text(''), 4);
    store<i64>(root, <i64>count, 24);
    store<u32>(root, <u32>list, 32);
    for (let i = 0; i < count; i++) {
      const child = children + <usize>i * 48;
      store<u32>(list + (<usize>i << 2), <u32>child);
      store<u32>(child, <u32>text(this.columns[i].format), 0);
      store<u32>(child, <u32>text(this.columns[i].name), 4);
      store<i64>(child, 2, 16);
    }
    return root;
  }
}

/** A zero-terminated text for the host; error_text() may give one. */
export function text(value: string): usize {
  const bytes = String.UTF8.byteLength(value, true);
  const at = heap.alloc(bytes);
  String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, at, true);
  return at;
}

/** A text argument of a scalar function, which comes as address and bytes, as a string. */
export function textOf(at: usize, bytes: i32): string { return String.UTF8.decodeUnsafe(at, <usize>bytes); }

/** What a scalar function returns that gives text: UTF-8 bytes of its own or of an argument. They are copied before the next call. */
export function giveBytes(at: usize, bytes: i32): u64 { return (<u64>bytes << 32) | <u64>at; }

let given: usize = 0;
let givenBytes: usize = 0;
export function giveText(value: string): u64 {
  const bytes = <usize>String.UTF8.byteLength(value);
  if (bytes > givenBytes) {
    givenBytes = max<usize>(bytes * 2, 1024);
    given = heap.alloc(givenBytes);
  }
  String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, given);
  return giveBytes(given, <i32>bytes);
}

/** Parameters: configure() gets them as lines `name=value`. */
@final
export class Params {
  private readonly lines: Array<string>;
  constructor(at: usize, bytes: i32) {
    this.lines = String.UTF8.decodeUnsafe(at, <usize>bytes).split('\n');
  }
  /** The parameter's value, or what there is to say without it. */
  get(name: string, otherwise: string): string {
    for (let i = 0; i < this.lines.length; i++) if (this.lines[i].startsWith(name + '=')) return this.lines[i].substring(name.length + 1);
    return otherwise;
  }
  f64(name: string, otherwise: f64): f64 {
    const value = this.get(name, '');
    return value.length == 0 ? otherwise : parseFloat(value);
  }
  i32(name: string, otherwise: i32): i32 {
    const value = this.get(name, '');
    return value.length == 0 ? otherwise : I32.parseInt(value);
  }
}

/** Memory from here on has never been written: the host clears no more than this between row groups. Export it. */
export function heap_top(): usize {
  return heap.alloc(0) + 64;
}
