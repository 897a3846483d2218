import { MillraceError } from '../../pushdown/types/error.js';
import type { Api } from './api.js';
import { byId } from './dom.js';

/** Asks for a token when the daemon wants one; `retry` is what to do once it is there. True: the error was about that. */
export function askForToken(api: Api, error: unknown, retry: () => void): boolean {
  if (!(error instanceof MillraceError) || error.at.httpStatus !== 401) return false;
  const form = byId('token-form', HTMLFormElement);
  const input = byId('token', HTMLInputElement);
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    api.token = input.value.trim();
    input.value = '';
    form.hidden = true;
    retry();
  };
  return true;
}
