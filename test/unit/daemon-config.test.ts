import { describe, expect, it } from 'vitest';
import { configOfArguments, readConfig } from '../../daemon/config.js';
import { AnswerReader } from '../../daemon/rest/answer-reader.js';
import { problemOf } from '../../daemon/rest/problem.js';
import { MillraceError } from '../../pushdown/types/error.js';

describe('configuration', () => {
  it('comes from the command line in kebab case, with defaults and bounds', () => {
    expect(configOfArguments(['--dir', '/d', '--port', '0', '--slm-bytes', String(128 << 20)])).toMatchObject({ dir: '/d', port: 0, host: '127.0.0.1', slmBytes: 128 << 20, slots: 2 });
    for (const args of [['--port', '1'], ['--dir', '/d', '--port', '70000'], ['--dir', '/d', '--slots', '0'], ['--dir', '/d', '--what', '1'], ['--dir', '/d', 'stray']])
      expect(() => configOfArguments(args)).toThrow(expect.objectContaining({ code: 'MR_CONFIG' }));
  });

  it('wants a token for addresses others can reach', () => {
    expect(() => readConfig({ dir: '/d', host: '0.0.0.0' })).toThrow(expect.objectContaining({ code: 'MR_CONFIG', at: expect.objectContaining({ field: 'host' }) }));
    expect(readConfig({ dir: '/d', host: '0.0.0.0', token: 'x'.repeat(16) }).host).toBe('0.0.0.0');
    for (const host of ['127.0.0.1', 'localhost', '::1']) expect(readConfig({ dir: '/d', host }).host).toBe(host);
  });
});

describe('problems', () => {
  it('carry stable codes and statuses, and hide what is not the caller\'s', () => {
    expect(problemOf(new MillraceError('MR_DATASET_NOT_FOUND', 'x'))).toMatchObject({ status: 404, code: 'MR_DATASET_NOT_FOUND', type: 'urn:millrace:error:MR_DATASET_NOT_FOUND' });
    expect(problemOf(new MillraceError('MR_SQL_SYNTAX', 'x', { position: 7 }))).toMatchObject({ status: 400, position: 7 });
    expect(problemOf(new MillraceError('MR_NO_SPACE', 'x')).status).toBe(507);
    expect(problemOf(new MillraceError('MR_X', 'x', { httpStatus: 418 })).status).toBe(418);
    const hidden = problemOf(new Error('secret path /etc/x'));
    expect(hidden).toMatchObject({ status: 500, code: 'MR_INTERNAL' });
    expect(JSON.stringify(hidden)).not.toContain('secret');
  });
});

describe('answers of query workers', () => {
  it('are split at their length prefixes wherever the pipe cuts them', () => {
    const chunk = (text: string) => { const bytes = Buffer.from(text); const head = Buffer.alloc(4); head.writeUInt32LE(bytes.length); return Buffer.concat([head, bytes]); };
    const bytes = Buffer.concat([chunk('ab'), chunk('c'), Buffer.alloc(4), chunk('def'), Buffer.alloc(4)]);
    for (let step = 1; step <= bytes.length; step++) {
      const answers = [''];
      const reader = new AnswerReader({ data: (piece) => { answers[answers.length - 1] += Buffer.from(piece).toString(); }, end: () => answers.push('') });
      for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
      expect(answers).toEqual(['abc', 'def', '']);
    }
    expect(() => new AnswerReader({ data: () => undefined, end: () => undefined }).push(Buffer.from([255, 255, 255, 255]))).toThrow(expect.objectContaining({ code: 'MR_WORKER_PROTOCOL' }));
  });
});
