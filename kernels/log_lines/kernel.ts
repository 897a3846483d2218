// Lines of the Common and the Combined Log Format as columns, a row for a row:
//   host ident user [10/Oct/2000:13:55:36 -0700] "GET /path HTTP/1.0" 200 2326 "referer" "agent"
// A line that is none has ok = false and NULL elsewhere.
import { Batch, Column, Columns, MORE, Type } from './millrace';
export { heap_top } from './millrace';

const input = new Columns();
input.add('line', Type.Utf8);

const out = new Columns();
const ok = out.add('ok', Type.Bool);
const host = out.add('host', Type.Utf8);
const user = out.add('user', Type.Utf8);
/** Seconds since 1970-01-01T00:00:00Z. */
const time = out.add('time', Type.I64);
const method = out.add('method', Type.Utf8);
const path = out.add('path', Type.Utf8);
const status = out.add('status', Type.I32);
const bytes = out.add('bytes', Type.I64);

export function input_schema(): usize { return input.schema(); }
export function schema(): usize { return out.schema(); }

/** A place in a line. */
let at: usize = 0;
let end: usize = 0;
/** The last piece taken. */
let from: usize = 0;
let to: usize = 0;

// @ts-ignore: decorator
@inline function here(): i32 { return at < end ? <i32>load<u8>(at) : -1; }
function take(c: i32): bool {
  if (here() != c) return false;
  at++;
  return true;
}
/** Everything up to a character, which is stepped over; nothing at all is no piece. */
function until(c: i32): bool {
  from = at;
  while (at < end && <i32>load<u8>(at) != c) at++;
  to = at;
  return to > from && take(c);
}
function digits(count: i32): i32 {
  let value = 0;
  for (let i = 0; i < count; i++) {
    const digit = here() - 48;
    if (<u32>digit > 9) return -1;
    value = value * 10 + digit;
    at++;
  }
  return value;
}

const months = 'JanFebMarAprMayJunJulAugSepOctNovDec';
function month(): i32 {
  if (end - at < 3) return 0;
  for (let m = 0; m < 12; m++) {
    let same = true;
    for (let i = 0; i < 3; i++) same = same && <i32>load<u8>(at + i) == months.charCodeAt(m * 3 + i);
    if (same) {
      at += 3;
      return m + 1;
    }
  }
  return 0;
}

/** Days from 1970-01-01 of a day of the Gregorian calendar (Hinnant). */
function days(year: i32, month: i32, day: i32): i64 {
  const y = month <= 2 ? year - 1 : year;
  const era = (y >= 0 ? y : y - 399) / 400;
  const yoe = y - era * 400;
  const doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return <i64>era * 146097 + <i64>doe - 719468;
}

let seconds: i64 = 0;
function moment(): bool {
  const day = digits(2);
  if (day < 1 || day > 31 || !take(0x2f)) return false;
  const m = month();
  if (m == 0 || !take(0x2f)) return false;
  const year = digits(4);
  if (year < 0 || !take(0x3a)) return false;
  const hour = digits(2);
  if (hour < 0 || hour > 23 || !take(0x3a)) return false;
  const minute = digits(2);
  if (minute < 0 || minute > 59 || !take(0x3a)) return false;
  const second = digits(2);
  if (second < 0 || second > 60 || !take(0x20)) return false;
  const west = here() == 0x2d;
  if (!take(0x2d) && !take(0x2b)) return false;
  const zoneHour = digits(2);
  const zoneMinute = digits(2);
  if (zoneHour < 0 || zoneMinute < 0) return false;
  const zone = <i64>(zoneHour * 60 + zoneMinute) * 60;
  seconds = days(year, m, day) * 86400 + <i64>(hour * 3600 + minute * 60 + second) + (west ? zone : -zone);
  return true;
}

let hostFrom: usize = 0; let hostTo: usize = 0;
let userFrom: usize = 0; let userTo: usize = 0;
let methodFrom: usize = 0; let methodTo: usize = 0;
let pathFrom: usize = 0; let pathTo: usize = 0;
let code: i32 = 0;
let size: i64 = 0;

function parse(): bool {
  if (!until(0x20)) return false;
  hostFrom = from; hostTo = to;
  if (!until(0x20) || !until(0x20)) return false;
  userFrom = from; userTo = to;
  if (!take(0x5b) || !moment() || !take(0x5d) || !take(0x20) || !take(0x22)) return false;
  if (!until(0x20)) return false;
  methodFrom = from; methodTo = to;
  // The request ends with a quote that stands before a space; the protocol is what follows its last space.
  const start = at;
  while (at < end && !(load<u8>(at) == 0x22 && at + 1 < end && load<u8>(at, 1) == 0x20)) at++;
  if (at >= end) return false;
  let stop = at;
  while (stop > start && load<u8>(stop - 1) != 0x20) stop--;
  pathFrom = start;
  pathTo = stop > start ? stop - 1 : at;
  if (pathTo <= pathFrom) return false;
  at += 2;
  code = digits(3);
  if (code < 100 || !take(0x20)) return false;
  size = -1;
  if (take(0x2d)) return at == end || here() == 0x20;
  size = 0;
  const first = at;
  while (<u32>(here() - 48) < 10 && at - first < 18) size = size * 10 + <i64>(<i32>load<u8>(at++) - 48);
  return at > first && (at == end || here() == 0x20);
}

/** So many lines are put out at a time: memory does not grow with the row group. */
const rowsPerOutput: i32 = 16384;
let lines: Column = changetype<Column>(0);
let rows: i32 = 0;
let next: i32 = 0;

export function process(input: usize, output: usize): i32 {
  if (input != 0) {
    const batch = new Batch(input);
    lines = batch.column(0);
    rows = batch.rows;
    next = 0;
  }
  out.clear();
  const stop = min(rows, next + rowsPerOutput);
  for (; next < stop; next++) {
    const row = next;
    const isNull = lines.isNull(row);
    at = lines.at(row);
    end = at + <usize>(isNull ? 0 : lines.bytes(row));
    if (isNull || !parse()) {
      ok.pushBool(false);
      host.pushNull(); user.pushNull(); time.pushNull(); method.pushNull(); path.pushNull(); status.pushNull(); bytes.pushNull();
      continue;
    }
    ok.pushBool(true);
    host.pushBytes(hostFrom, <i32>(hostTo - hostFrom));
    if (userTo - userFrom == 1 && load<u8>(userFrom) == 0x2d) user.pushNull();
    else user.pushBytes(userFrom, <i32>(userTo - userFrom));
    time.pushI64(seconds);
    method.pushBytes(methodFrom, <i32>(methodTo - methodFrom));
    path.pushBytes(pathFrom, <i32>(pathTo - pathFrom));
    status.pushI32(code);
    if (size < 0) bytes.pushNull();
    else bytes.pushI64(size);
  }
  const status = out.give(output);
  return next < rows ? MORE : status;
}
