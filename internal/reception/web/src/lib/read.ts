// Reads what a view shows, and keeps it: each range of days once, kept current by the changes
// that the stream brings. What was read says which view, day and doctors it is of, so it is
// never shown as another's.
import {
  type Appointment,
  type Change,
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
import { type Frame, apply, applyTicket } from "./frame.js";
import { addDays, dayWindow, monday } from "./time.js";

export type View = "day" | "week" | "board" | "find" | "settings";

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
  settings: ["directory:read"],
};

/** How many doctors one request covers: the contract's bound. */
const DOCTORS = 100;
/** How many ranges are kept; the one that was not looked at for longest goes first. */
const FRAMES = 40;

/** The doctors shown, and the zone of their times. */
export interface Clinic {
  zone: string;
  /** All doctors: inactive ones may still have appointments. */
  doctors: Doctor[];
  may: (p: Permission) => boolean;
}

export class Reader {
  private frames = new Map<string, Frame>();
  /** The tickets of a date, of all doctors. */
  private queues = new Map<string, Ticket[]>();
  /** What changed since each reading began that has not ended yet. */
  private underway = new Set<Change[]>();
  private era = 0;

  /** Reads everything again the next time. */
  forget(): void {
    this.era++;
    this.frames.clear();
    this.queues.clear();
  }

  /** What is kept for a view; undefined if it has to be read. */
  kept(w: Wanted, may: Clinic["may"]): Shown | undefined {
    const key = frameKey(w);
    const frame = this.frames.get(key);
    const queue = needsQueue(w, may) ? this.queues.get(w.date) : [];
    if (!frame || !queue) return undefined;
    this.frames.delete(key);
    this.frames.set(key, frame);
    return shown(w, frame, queue);
  }

  /** Takes a change into all that is kept; returns whether anything of it did change. */
  apply(change: Change): boolean {
    for (const missed of this.underway) missed.push(change);
    let changed = false;
    for (const [key, frame] of this.frames) {
      const after = apply(frame, change);
      if (after === frame) continue;
      this.frames.set(key, after);
      changed = true;
    }
    for (const [date, queue] of this.queues) {
      const after = applyTicket(queue, date, change);
      if (after === queue) continue;
      this.queues.set(date, after);
      changed = true;
    }
    return changed;
  }

  /** Throws ProblemError or NoAnswer. carefully: one request first, so that a server in trouble gets no more. */
  async read(w: Wanted, clinic: Clinic, signal: AbortSignal, carefully: boolean): Promise<Shown> {
    const missed: Change[] = [];
    this.underway.add(missed);
    const { era } = this;
    try {
      const reading = this.frames.get(frameKey(w)) ?? readFrame(w, clinic, signal);
      if (carefully) await reading;
      const queue = needsQueue(w, clinic.may) ? (this.queues.get(w.date) ?? readQueues(w.date, clinic, signal)) : [];
      let [frame, tickets] = await Promise.all([reading, queue]);
      for (const change of missed) {
        frame = apply(frame, change);
        tickets = applyTicket(tickets, w.date, change);
      }
      if (era === this.era) this.keep(w, frame, needsQueue(w, clinic.may) ? tickets : undefined);
      return shown(w, frame, tickets);
    } finally {
      this.underway.delete(missed);
    }
  }

  private keep(w: Wanted, frame: Frame, queue: Ticket[] | undefined): void {
    this.frames.set(frameKey(w), frame);
    if (queue) this.queues.set(w.date, queue);
    for (const kept of [this.frames, this.queues]) {
      for (const key of kept.keys()) if (kept.size > FRAMES) kept.delete(key);
    }
  }
}

// A day and its check-in board show the same.
const frameKey = (w: Wanted) => (w.view === "week" ? w.key : `day ${w.date}`);

const needsQueue = (w: Wanted, may: Clinic["may"]) => w.view === "board" && may("queue:read");

function shown(w: Wanted, frame: Frame, tickets: Ticket[]): Shown {
  return {
    key: w.key,
    // What began on an earlier day is in that day's columns.
    visits: frame.visits.filter((v) => Date.parse(v.start_time) >= frame.start),
    closures: frame.closures,
    tickets,
    hours: frame.hours,
    away: frame.away,
  };
}

async function readFrame(w: Wanted, { zone, doctors }: Clinic, signal: AbortSignal): Promise<Frame> {
  const week = w.view === "week";
  const first_date = week ? monday(w.date) : w.date;
  const last_date = week ? addDays(first_date, 6) : first_date;
  const frame: Frame = {
    start: dayWindow(first_date, zone).start,
    end: dayWindow(last_date, zone).end,
    doctors: new Set(week ? [w.doctor] : doctors.map((d) => d.id)),
    visits: [],
    closures: [],
    hours: {},
    away: {},
  };
  const ids = [...frame.doctors];
  for (let i = 0; i < ids.length; i += DOCTORS) {
    const query = { doctor_id: ids.slice(i, i + DOCTORS), first_date, last_date, include: ["patient" as const] };
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await unwrap(mems.getSchedule({ query: { ...query, ...(cursor ? { cursor } : {}) }, signal }));
      frame.visits.push(...page.appointments);
      if (page.calendars) frame.closures = page.calendars.closures;
      for (const d of page.calendars?.doctors ?? []) {
        frame.hours[d.doctor_id] = d.working_hours;
        frame.away[d.doctor_id] = d.time_off;
      }
      cursor = page.next_cursor;
    }
  }
  return frame;
}

async function readQueues(date: string, { doctors }: Clinic, signal: AbortSignal): Promise<Ticket[]> {
  const active = doctors.filter((d) => d.is_active);
  const queueOf = (doctor_id: number) => all(pages(mems.getQueue, { query: { doctor_id, date, limit: 200 }, signal }));
  return (await Promise.all(active.map((d) => queueOf(d.id)))).flat();
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
