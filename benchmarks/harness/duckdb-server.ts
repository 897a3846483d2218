// The peer of the load benchmark: DuckDB behind a minimal Fastify server. Arguments: Parquet file, threads. Prints its address.
import { DuckDBInstance } from '@duckdb/node-api';
import Fastify from 'fastify';

const [file = '', threads = '2'] = process.argv.slice(2);
const instance = await DuckDBInstance.create(':memory:', { threads });
const load = await instance.connect();
await load.run(`CREATE TABLE flights AS SELECT * FROM read_parquet('${file}')`);
const server = Fastify();
server.post('/v1/sql', async (request, reply) => {
  const connection = await instance.connect();
  try {
    const rows = (await connection.runAndReadAll((request.body as { sql: string }).sql)).getRowObjectsJson();
    return await reply.type('application/x-ndjson').send(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  } finally {
    connection.closeSync();
  }
});
process.stdout.write(`${await server.listen({ host: '127.0.0.1', port: 0 })}\n`);
