import type { Socket } from 'node:net';

/** Bytes the daemon exchanged with clients over HTTP: what data answers carried, and everything on the sockets. */
export class LinkCounter {
  #bodyOutBytes = 0;
  #closedInBytes = 0;
  #closedOutBytes = 0;
  readonly #open = new Set<Socket>();

  /** Frame bytes of results and claims. */
  addFrames(bytes: number): void {
    this.#bodyOutBytes += bytes;
  }

  watch(socket: Socket): void {
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#closedInBytes += socket.bytesRead;
      this.#closedOutBytes += socket.bytesWritten;
    });
  }

  get totals(): { readonly frameBytes: number; readonly socketInBytes: number; readonly socketOutBytes: number; readonly connections: number } {
    let socketInBytes = this.#closedInBytes;
    let socketOutBytes = this.#closedOutBytes;
    for (const socket of this.#open) {
      socketInBytes += socket.bytesRead;
      socketOutBytes += socket.bytesWritten;
    }
    return { frameBytes: this.#bodyOutBytes, socketInBytes, socketOutBytes, connections: this.#open.size };
  }
}

