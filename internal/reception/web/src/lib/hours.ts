// A doctor's hours on one day, as the server reads them.
import type { WorkingHours } from "mems-client";
import { at, weekday } from "./time.js";

export interface Stretch {
  start: number;
  end: number;
}

/** When a doctor works on a date; undefined when no hours are kept, so any time can be booked. */
export function worksOn(hours: WorkingHours | undefined, date: string, zone: string): Stretch[] | undefined {
  if (!hours || (hours.timetables.length === 0 && hours.exceptions.length === 0)) return undefined;
  const where = hours.time_zone ?? zone;
  const exception = hours.exceptions.find((e) => e.date === date);
  const timetable = hours.timetables
    .filter((t) => t.effective_from <= date)
    .sort((a, b) => (a.effective_from < b.effective_from ? 1 : -1))[0];
  const blocks = exception ? exception.blocks : (timetable?.blocks ?? []).filter((b) => b.weekday === weekday(date));
  return blocks
    .map((b) => ({ start: at(date, b.start, where), end: at(date, b.end, where) }))
    .filter((s) => s.end > s.start)
    .sort((a, b) => a.start - b.start);
}

/** What of a day lies outside of the stretches. */
export function outside(stretches: Stretch[], day: Stretch): Stretch[] {
  const gaps: Stretch[] = [];
  let from = day.start;
  for (const s of stretches) {
    if (s.start > from) gaps.push({ start: from, end: Math.min(s.start, day.end) });
    from = Math.max(from, s.end);
  }
  if (from < day.end) gaps.push({ start: from, end: day.end });
  return gaps.filter((g) => g.end > g.start);
}

/** Side by side: which lane each of the things has among those it overlaps, and how many lanes there are. */
export function lanes<T extends Stretch>(things: T[]): Map<T, { lane: number; of: number }> {
  const placed = new Map<T, { lane: number; of: number }>();
  let group: T[] = [];
  let ends: number[] = [];
  let groupEnd = -Infinity;
  const close = () => {
    for (const t of group) {
      const p = placed.get(t);
      if (p) p.of = ends.length;
    }
    group = [];
    ends = [];
  };
  for (const t of [...things].sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (t.start >= groupEnd) close();
    let lane = ends.findIndex((end) => end <= t.start);
    if (lane < 0) lane = ends.push(0) - 1;
    ends[lane] = t.end;
    placed.set(t, { lane, of: 1 });
    group.push(t);
    groupEnd = Math.max(groupEnd, t.end);
  }
  close();
  return placed;
}
