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
  return { start: Date.parse(instantAt(date, "00:00", zone)), end: Date.parse(instantAt(addDays(date, 1), "00:00", zone)) };
}

/** "10:30", as the clinic's clocks show it. */
export function clock(at: number | string, zone: string): string {
  return wallTime(typeof at === "number" ? new Date(at) : at, zone).time;
}

export function dateAt(at: number | string, zone: string): string {
  return wallTime(typeof at === "number" ? new Date(at) : at, zone).date;
}

/** The moment of a wall time; "24:00" is the next midnight. */
export function at(date: string, time: string, zone: string): number {
  return time === "24:00" ? Date.parse(instantAt(addDays(date, 1), "00:00", zone)) : Date.parse(instantAt(date, time, zone));
}

const long = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
const short = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** "Tuesday, 2 March 2027" */
export function longDate(date: string): string {
  return long.format(new Date(`${date}T12:00:00Z`));
}

/** "Tue, 2 Mar" */
export function shortDate(date: string): string {
  return short.format(new Date(`${date}T12:00:00Z`));
}

/** The hours between two moments, each with what the clock shows; one that comes twice says so. */
export function hours(from: number, to: number, zone: string): { at: number; label: string }[] {
  const list: { at: number; label: string }[] = [];
  for (let t = from; t < to; t += 60 * MINUTE) {
    const shown = clock(t, zone);
    list.push({ at: t, label: list.at(-1)?.label === shown ? `${shown} again` : shown });
  }
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
  const part = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "shortOffset" })
    .formatToParts(when)
    .find((p) => p.type === "timeZoneName");
  return (part?.value ?? "").replace("GMT", "UTC");
}
