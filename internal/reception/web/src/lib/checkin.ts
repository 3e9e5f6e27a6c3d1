// When the desk offers to check a patient in: on the clinic's day of the appointment,
// and around midnight up to four hours before and after it. The server refuses what is too early.
import { addDays, clock, dateAt, dayWindow, MINUTE, shortDate } from "./time.js";

const AROUND = 240 * MINUTE;

/** Why an appointment cannot be checked in at a moment; "" when it can. */
export function checkInClosed(a: { start_time: string; end_time: string }, now: number, zone: string): string {
  const start = Date.parse(a.start_time);
  const day = dayWindow(dateAt(start, zone), zone);
  const earliest = Math.min(day.start, start - AROUND);
  if (now < earliest) return `Check-in opens ${opens(earliest, now, zone)}.`;
  if (now >= Math.max(day.end, Date.parse(a.end_time) + AROUND)) return "The day of this appointment is over.";
  return "";
}

function opens(at: number, now: number, zone: string): string {
  const date = dateAt(at, zone);
  const today = dateAt(now, zone);
  const named = date === today ? "today" : date === addDays(today, 1) ? "tomorrow" : `on ${shortDate(date)}`;
  return at === dayWindow(date, zone).start ? named : `${named} at ${clock(at, zone)}`;
}
