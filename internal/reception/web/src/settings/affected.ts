// What a change of a doctor's calendar leaves without a place.
import { type Appointment, type NoAnswer, pages, type Problem, problemOf, type WorkingHours } from "mems-client";
import { mems } from "../lib/client.js";
import { worksOn, type Stretch } from "../lib/hours.js";
import { session } from "../lib/session.svelte.js";
import { addDays, dateAt } from "../lib/time.js";
import { frees } from "../lib/words.js";

/** How many appointments are looked at; the server lists as many of what is affected. */
const AT_MOST = 1000;
/** How far ahead is looked, in days. */
const AHEAD = 1000;
const DAY = 86_400_000;

export type Found = { visits: Appointment[]; error?: undefined } | { error: Problem | NoAnswer };

/** Reads a doctor's open appointments between two moments, without those that have freed their time. */
export async function openVisits(doctor: number, from = Date.now(), to = from + AHEAD * DAY): Promise<Found> {
  if (!session.may("appointments:read")) return { visits: [] };
  const query = {
    doctor_id: doctor,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    include: ["patient" as const],
    limit: 200,
  };
  const visits: Appointment[] = [];
  try {
    for await (const a of pages(mems.listAppointments, { query })) {
      if (!frees.has(a.status) && a.status !== "completed") visits.push(a);
      if (visits.length === AT_MOST) break;
    }
  } catch (error) {
    return { error: problemOf(error) ?? (error as NoAnswer) };
  }
  return { visits };
}

/** The appointments that the hours of today hold and new ones would not; the server decides when they are saved. */
export function leftOut(visits: Appointment[], before: WorkingHours, after: WorkingHours, zone: string): Appointment[] {
  return visits.filter((a) => isWithin(a, before, zone) && !isWithin(a, after, zone));
}

function isWithin(a: Appointment, hours: WorkingHours, zone: string): boolean {
  const [start, end] = [Date.parse(a.start_time), Date.parse(a.end_time)];
  const date = dateAt(start, zone);
  const days = [addDays(date, -1), date, addDays(date, 1)].map((d) => worksOn(hours, d, zone));
  const stretches = days.filter((s): s is Stretch[] => s !== undefined).flat();
  if (days.every((s) => s === undefined)) return true;
  let reached = start;
  for (const s of stretches.sort((x, y) => x.start - y.start))
    if (s.start <= reached && s.end > reached) reached = s.end;
  return reached >= end;
}
