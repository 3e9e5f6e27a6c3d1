// A doctor's weekly hours as they are typed: seven days, each with blocks.
import type { Timetable, WorkingHours } from "mems-client";

export interface Block {
  start: string;
  end: string;
}

/** Monday first. */
export type Week = Block[][];

export const days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

export function emptyWeek(): Week {
  return days.map(() => []);
}

export function weekOf(t: Timetable): Week {
  const week = emptyWeek();
  for (const { weekday, start, end } of t.blocks) week[weekday - 1]?.push({ start, end });
  for (const day of week) day.sort((a, b) => (a.start < b.start ? -1 : 1));
  return week;
}

/** The week as the contract has it. Call it for one without faults. */
export function timetableOf(effective_from: string, week: Week): Timetable {
  return { effective_from, blocks: week.flatMap((day, i) => day.map((b) => ({ weekday: i + 1, ...b }))) };
}

/** The hours with a timetable in the place of another one, or of the one from the same date. */
export function withTimetable(hours: WorkingHours, t: Timetable, instead = t.effective_from): WorkingHours {
  const others = hours.timetables.filter((o) => o.effective_from !== instead && o.effective_from !== t.effective_from);
  const timetables = [...others, t].sort((a, b) => (a.effective_from < b.effective_from ? -1 : 1));
  return bodyOf({ ...hours, timetables });
}

/** The hours as a request takes them: without a zone they are in the clinic's. */
export function bodyOf({ time_zone, timetables, exceptions }: WorkingHours): WorkingHours {
  return { ...(time_zone ? { time_zone } : {}), timetables, exceptions };
}

/** Reads a time as people type it, "8", "830" or "8.30"; returns "08:30", or the text if it is no time. */
export function readTime(text: string): string {
  const [, h = "", m = "00"] = /^\s*(\d{1,2})\s*(?:[:.h]?\s*(\d\d))?\s*h?\s*$/.exec(text) ?? [];
  if (!h || Number(m) > 59 || Number(h) * 60 + Number(m) > 1440) return text;
  return `${h.padStart(2, "0")}:${m}`;
}

/** Says what is wrong with the blocks of a day, in the order in which they stand; "" if nothing is. */
export function faultOf(day: Block[]): string {
  const time = /^([01]\d|2[0-3]):[0-5]\d$/;
  for (const b of day) {
    if (!time.test(b.start) || !(time.test(b.end) || b.end === "24:00")) return "Enter times as 08:00, up to 24:00.";
    if (b.end <= b.start) return "The end must be after the start.";
  }
  const sorted = [...day].sort((a, b) => (a.start < b.start ? -1 : 1));
  return sorted.some((b, i) => i > 0 && b.start < (sorted[i - 1]?.end ?? "")) ? "Two of these times overlap." : "";
}

/** The next block to be offered: the morning, the afternoon, or none in particular. */
export function nextBlock(day: Block[]): Block {
  const last = day.at(-1)?.end ?? "";
  if (!day.length) return { start: "08:00", end: "12:00" };
  return last <= "13:00" ? { start: "13:00", end: "17:00" } : { start: "", end: "" };
}

/** Minutes of work in a week without faults. */
export function minutesOf(week: Week): number {
  const at = (t: string) => Number(t.slice(0, 2)) * 60 + Number(t.slice(3));
  return week.flat().reduce((sum, b) => sum + at(b.end) - at(b.start), 0);
}
