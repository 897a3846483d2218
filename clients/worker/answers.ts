import { planJson } from '../../pushdown/plan/plan-json.js';
import { naturalPhysical } from '../../pushdown/plan/schema.js';
import type { Client } from '../node/client.js';
import { arrowIpc } from '../node/result/arrow-ipc.js';
import { ndjson } from '../node/result/row-text.js';
import { resultNames } from '../node/sql/sql-plan.js';
import type { AnswerWriter } from './answer-writer.js';
import { chunkBytesOf } from '../node/scan/estimate.js';
import { PlanExecution } from '../node/scan/execute.js';
import type { SqlRun } from '../node/sql/sql-query.js';
import type { WorkerProgress, WorkerQuery, WorkerVerdict } from './protocol.js';

export const contentTypes = {
  json: 'application/x-ndjson', arrow: 'application/vnd.apache.arrow.stream', explain: 'application/json', analyze: 'application/json', plan: 'application/json',
} as const satisfies Record<WorkerQuery['answer'], string>;

/** Runs a query and writes its answer; `onStart` is called when it can no longer be refused. Gives the rows written and what pushing down came to. */
export async function answer(client: Client, query: WorkerQuery, signal: AbortSignal, out: AnswerWriter, onStart: () => void, onRun: (progress: () => WorkerProgress) => void): Promise<{ readonly rows: number; readonly verdict: WorkerVerdict }> {
  const { sql, pushdown } = query;
  const readable = query.datasets && { datasets: new Set(query.datasets) };
  if (query.answer === 'explain' || query.answer === 'analyze') {
    const explained = await client.explainSql(sql, { pushdown, signal, analyze: query.answer === 'analyze', ...readable });
    onStart();
    await out.write(Buffer.from(JSON.stringify(explained)));
    return { rows: explained.plan.length, verdict: noVerdict };
  }
  if (query.answer === 'plan') {
    const plan = await client.sqlEngine.plan(sql, signal, readable?.datasets);
    onStart();
    // A statement that is not one plan names what its host has to do besides.
    const names = plan.kind === 'plan' ? { columns: resultNames(plan.columns) } : {};
    const host = plan.kind === 'pushed' ? { host: plan.hostSql } : plan.kind === 'scans' ? { host: plan.sql } : {};
    await out.write(Buffer.from(JSON.stringify({ kind: plan.kind, ...(plan.kind === 'scans' ? {} : { plan: JSON.parse(planJson(plan.plan)) as unknown }), ...names, ...host })));
    return { rows: 0, verdict: noVerdict };
  }
  const started = performance.now();
  const run = await client.sqlEngine.run(sql, { pushdown, signal, ...readable });
  let rows = 0;
  onRun(() => {
    const { rowsScanned, linkBytes, morselsDevice, morselsHost } = run.stats();
    const morselsTotal = run.runs().reduce((n, part) => n + (part instanceof PlanExecution ? (part.prepared?.rowGroups.length ?? 0) : 0), 0);
    return { rows, rowsScanned, linkBytes, morselsDevice, morselsHost, morselsTotal };
  });
  const counted = async function* () {
    for await (const batch of run) {
      // The first batch decides whether the statement runs at all: until then it can be refused with a status.
      if (rows === 0) onStart();
      rows += batch.rows;
      yield batch;
    }
    if (rows === 0) onStart();
  };
  if (query.answer === 'arrow') {
    const columns = run.columns.map((c) => ({ ...c, physical: naturalPhysical(c.type), nullable: true }));
    for await (const part of arrowIpc(columns, counted())) await out.write(part);
    return { rows, verdict: verdictOf(run) };
  }
  for await (const batch of counted()) await out.write(Buffer.from(ndjson(batch)));
  const summary = { rows, ...run.stats(), ms: Math.round((performance.now() - started) * 1000) / 1000, columns: run.columns, plan: client.explainSqlRun(run, { rows, ms: performance.now() - started, pushdown }) };
  await out.write(Buffer.from(`${JSON.stringify({ summary })}\n`));
  return { rows, verdict: verdictOf(run) };
}

const noVerdict: WorkerVerdict = { bytesAvoided: 0, decisions: [], foretold: [] };
/** A statement has few plans; what one with many says beyond this is not told. */
const decisionsMax = 1000;

function verdictOf(run: SqlRun): WorkerVerdict {
  let bytesAvoided = 0;
  const decisions: WorkerVerdict['decisions'][number][] = [];
  const foretold: number[] = [];
  for (const part of run.runs()) {
    if (!(part instanceof PlanExecution) || !part.prepared) continue;
    bytesAvoided += Math.max(0, chunkBytesOf(part.prepared) - part.stats().linkBytes);
    for (const { op, cause } of part.prepared.compiled.decisions) decisions.push({ op, choice: cause === 'scan' || cause === 'partial' ? 'push' : 'host', reason: cause });
    if (part.foretold !== undefined) foretold.push(part.foretold);
  }
  return { bytesAvoided, decisions: decisions.slice(0, decisionsMax), foretold: foretold.slice(0, decisionsMax) };
}
