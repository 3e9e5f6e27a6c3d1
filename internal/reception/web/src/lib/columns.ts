// What a column of the calendar shows: one doctor on one day.
import type { Appointment, Closure, Doctor, TimeOff, WorkingHours } from "mems-client";
import { outside, type Stretch, worksOn } from "./hours.js";
import { at, dateAt, dayWindow, twice, wallClock } from "./time.js";

/** What columns are drawn of. */
export interface Known {
  zone: string;
  today: string;
  visits: Appointment[];
  closures: Closure[];
  hours: Record<number, WorkingHours>;
  away: Record<number, TimeOff[]>;
}

const offReasons: Record<NonNullable<TimeOff["reason"]>, string> = {
  vacation: "On holiday",
  illness: "Ill",
  training: "Training",
  meeting: "Meeting",
  other: "Away",
};

/** The part of the day that is worth showing, in minutes from its beginning: from the first hour worked to the last. */
export function span(days: string[], doctors: Doctor[], known: Known): { from: number; to: number } {
  let from = 8 * 60;
  let to = 17 * 60;
  for (const date of days) {
    const day = dayWindow(date, known.zone);
    // By the wall, as the columns are cut: a day with 23 hours still ends at 24:00.
    const hour = (t: number) => Number(wallClock(t, known.zone).slice(0, 2)) * 60;
    const stretch = (s: Stretch) => {
      if (s.end <= day.start || s.start >= day.end) return;
      if (s.start <= day.start) from = 0;
      else from = Math.min(from, hour(s.start));
      const whole = wallClock(s.end, known.zone).endsWith(":00") && !twice(s.end, known.zone);
      to = s.end >= day.end ? 1440 : Math.max(to, hour(s.end) + (whole ? 0 : 60));
    };
    for (const d of doctors) worksOn(known.hours[d.id], date, known.zone)?.forEach(stretch);
    for (const v of known.visits) if (dateAt(v.start_time, known.zone) === date) stretch(times(v));
  }
  return { from, to };
}

function times(v: { start_time: string; end_time: string }): Stretch {
  return { start: Date.parse(v.start_time), end: Date.parse(v.end_time) };
}

export function columnFor(doctor: Doctor, date: string, range: { from: number; to: number }, known: Known) {
  const day = dayWindow(date, known.zone);
  // By the wall, so that a week with a change of the clocks stays aligned.
  const wall = (m: number) =>
    m >= 1440 ? day.end : at(date, `${String(Math.floor(m / 60)).padStart(2, "0")}:00`, known.zone);
  const shown = { start: wall(range.from), end: Math.min(day.end, wall(range.to)) };
  const works = worksOn(known.hours[doctor.id], date, known.zone);
  const blocked = works ? outside(works, shown).map((s) => ({ ...s, why: "" })) : [];
  const off = (list: (Stretch & { why: string })[]) =>
    list
      .filter((s) => s.start < shown.end && s.end > shown.start)
      .map((s) => ({ ...s, start: Math.max(s.start, shown.start), end: Math.min(s.end, shown.end) }));
  return {
    doctor: doctor.id,
    from: shown.start,
    to: shown.end,
    visits: known.visits.filter(
      (v) => v.doctor_id === doctor.id && dateAt(v.start_time, known.zone) === date && v.status !== "cancelled",
    ),
    blocked: [
      ...blocked,
      ...off((known.away[doctor.id] ?? []).map((o) => ({ ...times(o), why: offReasons[o.reason ?? "other"] }))),
      ...off(known.closures.map((c) => ({ ...times(c), why: `Closed: ${c.name}` }))),
    ],
    today: date === known.today,
  };
}
