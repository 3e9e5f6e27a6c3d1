// Days and hours as the clinic's clocks show them. Positions on the screen are
// elapsed minutes, so days with 23 or 25 hours are as long as they are.
import { instantAt, wallTime } from "mems-client";

export const MINUTE = 60_000;

/** The date some days later, by the calendar. */
export function addDays(date: string, days: number): string {
  const d = new Date(`${date}T12:00:00Z`);
  d.setUTCDate(d.getUTCDate() + days);
  return d.toISOString().slice(0, 10);
}

/** ISO weekday: Monday is 1. */
export function weekday(date: string): number {
  return new Date(`${date}T12:00:00Z`).getUTCDay() || 7;
}

export function monday(date: string): string {
  return addDays(date, 1 - weekday(date));
}

/** The first moment of a day and that of the next, in milliseconds. */
export function dayWindow(date: string, zone: string): { start: number; end: number } {
  return {
    start: Date.parse(instantAt(date, "00:00", zone)),
    end: Date.parse(instantAt(addDays(date, 1), "00:00", zone)),
  };
}

/** "10:30", as the clinic's clocks show it and as a time field takes it. Not unique when the clocks go back. */
export function wallClock(at: number | string, zone: string): string {
  return wallTime(typeof at === "number" ? new Date(at) : at, zone).time;
}

/** "10:30"; a time that the clinic's clocks show twice says which one it is: "02:30 CEST", "02:30 CET". */
export function clock(at: number | string, zone: string): string {
  const t = millis(at);
  return twice(t, zone) ? `${wallClock(t, zone)} ${offsetName(t, zone)}` : wallClock(t, zone);
}

/** "10:30 to 11:00". Across a change of the clocks both ends say which clock they are by. */
export function clockRange(start: number | string, end: number | string, zone: string): string {
  const [from, to] = [millis(start), millis(end)];
  const marked = offset(from, zone) !== offset(to, zone) || twice(from, zone) || twice(to, zone);
  if (!marked) return `${wallClock(from, zone)} to ${wallClock(to, zone)}`;
  const named = (t: number) => `${wallClock(t, zone)} ${offsetName(t, zone)}`;
  return `${named(from)} to ${named(to)}`;
}

function millis(at: number | string): number {
  return typeof at === "number" ? at : Date.parse(at);
}

const DAY = 1440 * MINUTE;

/** How far the zone's clocks are ahead of UTC, in milliseconds. */
function offset(at: number, zone: string): number {
  const minute = Math.floor(at / MINUTE) * MINUTE;
  const shown = wallTime(new Date(minute), zone);
  return Date.parse(`${shown.date}T${shown.time}:00Z`) - minute;
}

/** The other moment at which the clocks show what they show at this one. */
function twin(at: number, zone: string): number | undefined {
  const own = offset(at, zone);
  for (const near of [offset(at - DAY, zone), offset(at + DAY, zone)]) {
    const other = at + own - near;
    if (other !== at && offset(other, zone) === near) return other;
  }
  return undefined;
}

/** Whether the clinic's clocks show this date and time at another moment, too. */
export function twice(at: number, zone: string): boolean {
  return twin(at, zone) !== undefined;
}

/** The moments at which the clocks show a date and time: two when they go back, none when they skip it. */
export function moments(date: string, time: string, zone: string): number[] {
  const first = at(date, time, zone);
  if (wallClock(first, zone) !== time || dateAt(first, zone) !== date) return [];
  const other = twin(first, zone);
  return other === undefined ? [first] : [first, other].sort((a, b) => a - b);
}

// Abbreviations are known to the English of the places that use them.
const englishes = ["en-GB", "en-US", "en-CA", "en-AU", "en-NZ", "en-ZA", "en-IN"];

/** What tells the time before a change of the clocks from that after it: "CEST", or "UTC+11" where there is no name. */
export function offsetName(at: number, zone: string): string {
  for (const locale of englishes) {
    const name = zonePart(at, zone, locale, "short");
    if (/^[A-Z]{2,5}$/.test(name) && name !== "GMT" && name !== "UTC") return name;
    if (name === "GMT" && offset(at, zone) === 0) return name;
  }
  return zoneName(zone, at);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function zonePart(when: number, timeZone: string, locale: string, timeZoneName: "short" | "shortOffset"): string {
  const key = `${locale} ${timeZone} ${timeZoneName}`;
  const format = formats.get(key) ?? new Intl.DateTimeFormat(locale, { timeZone, timeZoneName });
  formats.set(key, format);
  return format.formatToParts(when).find((p) => p.type === "timeZoneName")?.value ?? "";
}

export function dateAt(at: number | string, zone: string): string {
  return wallTime(typeof at === "number" ? new Date(at) : at, zone).date;
}

/** The moment of a wall time; "24:00" is the next midnight. */
export function at(date: string, time: string, zone: string): number {
  return time === "24:00"
    ? Date.parse(instantAt(addDays(date, 1), "00:00", zone))
    : Date.parse(instantAt(date, time, zone));
}

const long = new Intl.DateTimeFormat("en-GB", {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
  timeZone: "UTC",
});
const short = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** "Tuesday, 2 March 2027" */
export function longDate(date: string): string {
  return long.format(new Date(`${date}T12:00:00Z`));
}

/** "Tue, 2 Mar" */
export function shortDate(date: string): string {
  return short.format(new Date(`${date}T12:00:00Z`));
}

/** "Tue, 2 Mar 2027" */
export function datedShort(date: string): string {
  return `${shortDate(date)} ${date.slice(0, 4)}`;
}

/** The short date on which a moment falls, by the clinic's clocks. */
export function shortDateAt(at: number | string, zone: string): string {
  return shortDate(dateAt(at, zone));
}

/** The hours between two moments, each with what the clock shows; one that comes twice says which one it is. */
export function hours(from: number, to: number, zone: string): { at: number; label: string }[] {
  const list: { at: number; label: string }[] = [];
  for (let t = from; t < to; t += 60 * MINUTE) list.push({ at: t, label: clock(t, zone) });
  return list;
}

/** Minutes as people say them: "1 h 20 min". */
export function minutes(n: number): string {
  const h = Math.floor(n / 60);
  const m = n % 60;
  return [h ? `${h} h` : "", m || !h ? `${m} min` : ""].filter(Boolean).join(" ");
}

/** How much a zone is ahead of UTC at a moment, such as "UTC+1". */
export function zoneName(zone: string, when: number): string {
  return zonePart(when, zone, "en-GB", "shortOffset").replace("GMT", "UTC");
}
