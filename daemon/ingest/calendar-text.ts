// Points in time as DuckDB reads them, over the whole range of Arrow's integers: JavaScript's calendar ends at 275760.

/** Days since 1970-01-01 as 'YYYY-MM-DD', years before 1 with ' (BC)'. (Howard Hinnant, chrono-compatible low-level date algorithms.) */
export function dayText(days: number): string {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const ymd = `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${pad(month)}-${pad(day)}`;
  return year > 0 ? ymd : `${ymd} (BC)`;
}

/** Units since midnight as 'HH:MM:SS.fraction'; `digits` decimal places make a second. */
export function clockText(units: bigint, digits: number): string {
  const perSecond = 10n ** BigInt(digits);
  const seconds = Number(units / perSecond);
  const fraction = digits === 0 ? '' : `.${String(units % perSecond).padStart(digits, '0')}`;
  return `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}${fraction}`;
}

/** Units since the epoch as day and clock. */
export function instantText(units: bigint, digits: number): string {
  const perDay = 86_400n * 10n ** BigInt(digits);
  const clock = ((units % perDay) + perDay) % perDay;
  return `${dayText(Number((units - clock) / perDay))} ${clockText(clock, digits)}`;
}

const pad = (n: number): string => String(n).padStart(2, '0');
