// Times are strings, as they travel: nothing is converted behind your back.
//
// An instant is RFC 3339 in UTC with "Z", to the microsecond; a date is
// YYYY-MM-DD and means a day in the clinic's time zone, which GET /version
// names. The functions here go between the two where a program needs it.

/** The instant of a Date, as the API takes it. */
export function instant(date: Date): string {
  return date.toISOString(); // Throws RangeError for an invalid Date.
}

/** A Date for an instant of the API. It keeps milliseconds; the string has microseconds. */
export function toDate(instant: string): Date {
  const date = new Date(instant);
  // Without an offset, Date would take the machine's zone, which is nobody's intention.
  if (Number.isNaN(date.getTime()) || !/(Z|[+-]\d\d:\d\d)$/i.test(instant)) {
    throw new RangeError(
      `${JSON.stringify(instant)} is not an RFC 3339 instant with an offset, such as 2027-03-01T09:00:00Z.`,
    );
  }
  return date;
}

/** What a clock on the wall shows: `date` as YYYY-MM-DD, `time` as HH:MM. */
export interface WallTime {
  date: string;
  time: string;
}

/** What the clinic's clocks show at an instant. The date is the day in whose list a visit stands. */
export function wallTime(at: string | Date, timeZone: string): WallTime {
  const [date, time] = fields(typeof at === "string" ? toDate(at) : at, timeZone);
  return { date, time: time.slice(0, 5) };
}

/**
 * The instant at which the clinic's clocks show this date and time. Where the
 * clocks show it twice, the first; where they skip it, the end of the gap, as
 * the server reads working hours.
 */
export function instantAt(date: string, time: string, timeZone: string): string {
  const asUTC = Date.parse(`${date}T${time}:00Z`);
  if (!isDay(date) || !/^\d\d:\d\d$/.test(time) || Number.isNaN(asUTC)) {
    throw new RangeError(`${JSON.stringify(`${date} ${time}`)} is not a date and time, such as 2027-03-01 10:00.`);
  }
  // What the offset was before and will be after; around a change they differ.
  const before = asUTC - offset(asUTC - DAY, timeZone);
  const after = asUTC - offset(asUTC + DAY, timeZone);
  const shown = [before, after].filter((at) => at + offset(at, timeZone) === asUTC);
  return instant(new Date(shown.length > 0 ? Math.min(...shown) : endOfGap(after, before, timeZone)));
}

// Some engines read 30 February as 2 March.
function isDay(date: string): boolean {
  const start = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(start) && new Date(start).toISOString().slice(0, 10) === date;
}

const DAY = 24 * 60 * 60 * 1000;

// The change of the clocks lies between the two; halving finds it.
function endOfGap(low: number, high: number, timeZone: string): number {
  const later = offset(high, timeZone);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle, timeZone) === later) high = middle;
    else low = middle;
  }
  return high;
}

// How far the zone's clocks are ahead of UTC at this moment, in milliseconds.
function offset(at: number, timeZone: string): number {
  const second = Math.floor(at / 1000) * 1000;
  const [date, time] = fields(new Date(second), timeZone);
  return Date.parse(`${date}T${time}Z`) - second;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function fields(at: Date, timeZone: string): [date: string, time: string] {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-CA", {
      timeZone,
      calendar: "iso8601",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(timeZone, format);
  }
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
  for (const { type, value } of format.formatToParts(at)) part[type] = value;
  const year = (part.year ?? "").padStart(4, "0");
  return [`${year}-${part.month}-${part.day}`, `${part.hour}:${part.minute}:${part.second}`];
}
