import { MillraceError } from '../../pushdown/types/error.js';
import { jsonFault } from './json-fault.js';
import type { RestServer } from './server.js';

/** JSON bodies: whatever their length, what is wrong with one has a place. Keys that would change an object's prototype are refused. */
export function takeJson(server: RestServer): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // parseAs says that it is one.
    const text = body as string;
    parse(request, text, (error, value) => done(error && bodyError(text), value));
  });
}

function bodyError(text: string): MillraceError {
  const refuse = (detail: string, position?: number) => new MillraceError('MR_REQUEST_INVALID', detail, { field: 'body', httpStatus: 400, ...(position === undefined ? {} : { position }) });
  if (text.trim() === '') return refuse('The body is empty: send a JSON object.');
  const at = jsonFault(text);
  if (at === undefined) return refuse('The body has a key __proto__ or constructor.prototype, which none may have.');
  const line = text.slice(0, at).split('\n');
  const place = `line ${line.length}, column ${(line.at(-1)?.length ?? 0) + 1}`;
  if (at >= text.length) return refuse(`The body is not JSON: it ends too early, at ${place}.`, at);
  return refuse(`The body is not JSON: it may not go on with ${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))} at ${place}.`, at);
}
