import { MillraceError } from '../../pushdown/types/error.js';

const allowed = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** @throws MillraceError MR_NAME_INVALID */
export function checkName(name: string): void {
  if (!allowed.test(name))
    throw new MillraceError('MR_NAME_INVALID', 'A dataset name is 1 to 128 letters, digits, "_", "-" or "." and starts with a letter, a digit or "_".', { field: 'name', httpStatus: 400 });
}
