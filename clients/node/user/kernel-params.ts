import { MillraceError } from '../../../pushdown/types/error.js';

/** Parameters of a kernel by name; a list is its values with commas between them. */
export type KernelParams = Readonly<Record<string, string | number | bigint | boolean | readonly (string | number | bigint)[]>>;

/** What configure() gets: a line `name=value` each. @throws MillraceError MR_KERNEL_PARAMETER */
export function kernelParams(params: KernelParams): string {
  let text = '';
  for (const [name, value] of Object.entries(params)) {
    const written = Array.isArray(value) ? value.join(',') : String(value);
    if (name === '' || /[=\n\0]/.test(name) || /[\n\0]/.test(written)) throw new MillraceError('MR_KERNEL_PARAMETER', `The parameter '${name}' cannot be written as a line name=value.`, { field: name, httpStatus: 400 });
    text += `${name}=${written}\n`;
  }
  return text;
}
