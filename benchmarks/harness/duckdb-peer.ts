import { DuckDBConnection, type DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api';

/** DuckDB on one thread in this process, as the peer of a benchmark: its rows delivered as its own vectors. */
export class DuckDBPeer {
  private constructor(
    private readonly instance: DuckDBInstance,
    readonly connection: DuckDBConnection,
  ) {}

  static async open(path: string, threads: number, readOnly = false): Promise<DuckDBPeer> {
    const instance = await DuckDBInstance.create(path, { threads: String(threads), ...(readOnly ? { access_mode: 'READ_ONLY' } : {}) });
    return new DuckDBPeer(instance, await instance.connect());
  }

  async run(sql: string): Promise<void> {
    await this.connection.run(sql);
  }

  /** All chunks of the result. streamed: chunk by chunk while the query runs; otherwise DuckDB materializes first. */
  async chunks(sql: string, streamed: boolean): Promise<DuckDBDataChunk[]> {
    const result = streamed ? await this.connection.stream(sql) : await this.connection.run(sql);
    const chunks: DuckDBDataChunk[] = [];
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) return chunks;
      chunks.push(chunk);
    }
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }
}
