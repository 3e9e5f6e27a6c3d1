// Reads what a view shows. What was read says which view, day and doctors it is of,
// so it is never shown as another's.
import {
  type Appointment,
  type Closure,
  type Doctor,
  pages,
  type Permission,
  type Ticket,
  type TimeOff,
  unwrap,
  type WorkingHours,
} from "mems-client";
import { mems } from "./client.js";
import { addDays, dayWindow, monday } from "./time.js";

export type View = "day" | "week" | "board" | "find";

/** What a view is to show. */
export interface Wanted {
  /** Equal for equal contents. */
  key: string;
  view: View;
  date: string;
  /** The doctor of a week. */
  doctor: number;
}

/** What was read for it. */
export interface Shown {
  key: string;
  visits: Appointment[];
  closures: Closure[];
  tickets: Ticket[];
  hours: Record<number, WorkingHours>;
  away: Record<number, TimeOff[]>;
}

export const nothing: Omit<Shown, "key"> = { visits: [], closures: [], tickets: [], hours: {}, away: {} };

export function wanted(view: View, date: string, doctor: number): Wanted {
  const key = view === "week" ? `week ${monday(date)} ${doctor}` : view === "board" ? `board ${date}` : `day ${date}`;
  return { key, view, date, doctor };
}

/** Without these, a view has nothing to show. */
export const needs: Record<View, readonly Permission[]> = {
  day: ["directory:read", "appointments:read", "calendar:read"],
  week: ["directory:read", "appointments:read", "calendar:read"],
  board: ["directory:read", "appointments:read"],
  find: ["directory:read", "availability:read"],
};

// Hours, absences and queues of a doctor, and closures, are read again when they changed, not with
// every booking: a desk has its share of requests, and twelve doctors would use it up.
export class Reader {
  private hours = new Map<number, WorkingHours>();
  private away = new Map<number, Known<TimeOff>>();
  private closures = new Map<"all", Known<Closure>>();
  private queues = new Map<string, Ticket[]>();
  private era = 0;

  /** Reads everything again the next time. */
  forget(): void {
    this.era++;
    this.hours.clear();
    this.away.clear();
    this.closures.clear();
    this.queues.clear();
  }

  forgetCalendar(doctor: number): void {
    this.era++;
    this.hours.delete(doctor);
    this.away.delete(doctor);
  }

  forgetClosures(): void {
    this.era++;
    this.closures.clear();
  }

  forgetQueue(doctor: number): void {
    this.era++;
    for (const key of this.queues.keys()) if (key.startsWith(`${doctor} `)) this.queues.delete(key);
  }

  /** Throws ProblemError or NoAnswer. carefully: one request first, so that a server in trouble gets no more. */
  async read(
    w: Wanted,
    zone: string,
    doctors: Doctor[],
    may: (p: Permission) => boolean,
    signal: AbortSignal,
    carefully: boolean,
  ): Promise<Shown> {
    const week = w.view === "week";
    const from = week ? monday(w.date) : w.date;
    const start = iso(dayWindow(from, zone).start);
    const end = iso(dayWindow(week ? addDays(from, 6) : from, zone).end);
    const of = week ? doctors.filter((d) => d.id === w.doctor) : doctors;
    const query = week ? { from: start, to: end, doctor_id: w.doctor } : { date: w.date };
    const visits = all(pages(mems.listAppointments, { query: { ...query, include: ["patient"], limit: 200 }, signal }));
    if (carefully) await visits;
    const calendar = may("calendar:read");
    const [booked, closures, calendars, tickets] = await Promise.all([
      visits,
      calendar ? this.closed(start, signal) : [],
      calendar ? Promise.all(of.map((d) => this.calendarOf(d.id, start, signal))) : [],
      w.view === "board" && may("queue:read") ? Promise.all(of.map((d) => this.queueOf(d.id, w.date, signal))) : [],
    ]);
    return {
      key: w.key,
      visits: booked,
      closures: closures.filter((c) => Date.parse(c.start_time) < Date.parse(end)),
      tickets: tickets.flat(),
      hours: Object.fromEntries(calendars.map((c) => [c.id, c.hours])),
      away: Object.fromEntries(calendars.map((c) => [c.id, c.away])),
    };
  }

  private async calendarOf(id: number, from: string, signal: AbortSignal) {
    const [hours, away] = await Promise.all([this.hoursOf(id, signal), this.awayOf(id, from, signal)]);
    return { id, hours, away };
  }

  private async hoursOf(doctor: number, signal: AbortSignal): Promise<WorkingHours> {
    return this.remember(this.hours, doctor, async () =>
      unwrap(mems.getWorkingHours({ path: { id: doctor }, signal })),
    );
  }

  private awayOf(doctor: number, from: string, signal: AbortSignal): Promise<TimeOff[]> {
    return this.notEnded(this.away, doctor, from, (since) =>
      pages(mems.listTimeOff, { path: { id: doctor }, query: { from: since, limit: 200 }, signal }),
    );
  }

  private closed(from: string, signal: AbortSignal): Promise<Closure[]> {
    return this.notEnded(this.closures, "all", from, (since) =>
      pages(mems.listClosures, { query: { from: since, limit: 200 }, signal }),
    );
  }

  private async notEnded<K, T extends { end_time: string }>(
    kept: Map<K, Known<T>>,
    key: K,
    from: string,
    list: (since: string) => AsyncIterable<T>,
  ): Promise<T[]> {
    const old = kept.get(key);
    if (old && Date.parse(old.since) > Date.parse(from)) kept.delete(key);
    const since = new Date(Date.parse(from) - earlier).toISOString();
    const known = await this.remember(kept, key, async () => ({ since, items: await all(list(since)) }));
    return known.items.filter((i) => Date.parse(i.end_time) >= Date.parse(from));
  }

  private async queueOf(doctor: number, date: string, signal: AbortSignal): Promise<Ticket[]> {
    return this.remember(this.queues, `${doctor} ${date}`, () =>
      all(pages(mems.getQueue, { query: { doctor_id: doctor, date, limit: 200 }, signal })),
    );
  }

  // What is said to have changed while it was being read is not kept as it was before.
  private async remember<K, V>(known: Map<K, V>, key: K, read: () => Promise<V>): Promise<V> {
    const old = known.get(key);
    if (old !== undefined) return old;
    const era = this.era;
    const value = await read();
    if (era === this.era) known.set(key, value);
    return value;
  }
}

/** What has not ended before an instant, however far ahead. */
interface Known<T> {
  since: string;
  items: T[];
}

// Absences and closures are read from a month before the day that is shown, so that going from day
// to day, back and forth, asks for nothing that is known.
const earlier = 31 * 24 * 3600 * 1000;

function iso(t: number): string {
  return new Date(t).toISOString();
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
