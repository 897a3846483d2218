/** Forms an answer to SQL may have, by their media type. */
export const answerFormats = { json: 'application/x-ndjson', arrow: 'application/vnd.apache.arrow.stream', events: 'text/event-stream' } as const;
export type AnswerFormat = keyof typeof answerFormats;

/** The form that `Accept` names and likes best (the first of equals); NDJSON where it names none of them. */
export function acceptedFormat(accept: string | undefined): AnswerFormat {
  const liked = (accept ?? '').split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
    const q = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    return { format: (Object.keys(answerFormats) as AnswerFormat[]).find((format) => answerFormats[format] === type), q };
  });
  return liked.filter(({ format, q }) => format !== undefined && q > 0).sort((a, b) => b.q - a.q)[0]?.format ?? 'json';
}
