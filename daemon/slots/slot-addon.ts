/** The slot's addon (native/jail/slot): what its script asks of C++, and nothing else. */
export interface SlotAddon {
  /** Maps the ring, starts the thread that stops commands; returns the data region. */
  open(): ArrayBuffer;
  /** Maps the SLM read-only over `bytes` of a fixed-size linear memory at `address` (both multiples of 4096); returns the memory's number. */
  overlay(buffer: ArrayBuffer, address: number, bytes: number): number;
  /** Everything of the overlaid memory but the SLM reads as zero again. */
  scrub(memory: number): void;
  /** Of the SLM, kernels see the whole pages of these (offset, bytes) pairs and no others; without an argument all of it. */
  show(pairs?: Float64Array): void;
  /** Leaves root, closes descriptors, installs the seccomp filter on every thread. Returns JailPart bits. */
  seal(parentPid: number, partsByLauncher: number): number;
  /** Blocks for the next command: opcode, cid, cdw10, prp1, prp2. */
  next(fields: Float64Array): void;
  /** Runs guest code for a command. False: the device stopped it. What `run` throws passes through. */
  guard(cid: number, run: () => void): boolean;
  complete(cid: number, status: number, dw0: number, dw1: number): void;
  /** Announces a full output area and waits until it was drained. False: the command is to stop. */
  completeMore(cid: number, bytes: number): boolean;
  /** One line on stderr, then the end. */
  die(text: string): never;
}
