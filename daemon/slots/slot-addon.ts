/** The slot's addon (native/jail/slot): what its script asks of C++, and nothing else. */
export interface SlotAddon {
  /** Maps the ring, starts the thread that stops commands; returns the data region. */
  open(): ArrayBuffer;
  /**
   * Maps the SLM read-only over `bytes` of a fixed-size linear memory at `address` (both multiples of 4096), and the media's pieces
   * (pairs of offset and bytes) behind it; nothing is to be seen in the rest of `roomBytes`,
   * nor of the SLM behind `scanBytes`. Returns the memory's number.
   */
  overlay(buffer: ArrayBuffer, address: number, bytes: number, view: Float64Array, roomBytes: number, scanBytes: number): number;
  /** Everything of the overlaid memory but SLM and media reads as zero again. */
  scrub(memory: number): void;
  /** Of SLM and media, kernels see the whole pages of these (offset, bytes) pairs and no others; without an argument what scans see. */
  show(pairs?: Float64Array): void;
  /** Leaves root, closes descriptors, installs the seccomp filter on every thread. Returns JailPart bits. */
  seal(parentPid: number, partsByLauncher: number): number;
  /** Blocks for the next command: opcode, cid, cdw10, prp1, prp2. */
  next(fields: Float64Array): void;
  /** Whether next() would return at once. */
  waiting(): boolean;
  /** Runs guest code for a command. False: the device stopped it. What `run` throws passes through. */
  guard(cid: number, run: () => void): boolean;
  complete(cid: number, status: number, dw0: number, dw1: number): void;
  /** Announces a full output area and waits until it was drained. False: the command is to stop. */
  completeMore(cid: number, bytes: number): boolean;
  /** One line on stderr, then the end. */
  die(text: string): never;
}
