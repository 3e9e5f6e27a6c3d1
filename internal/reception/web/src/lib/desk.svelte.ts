// What the desk knows: the clinic, the day that is shown, and what has just been said.
import {
  type Appointment,
  type AppointmentType,
  type Caller,
  type Change,
  type Closure,
  type Doctor,
  follow,
  isProblem,
  type NoAnswer,
  type Override,
  pages,
  type Permission,
  type Problem,
  problemOf,
  type Room,
  type Ticket,
  type TimeOff,
  unwrap,
  type WorkingHours,
} from "mems-client";
import { type Draft, type Move, newDraft } from "./draft.js";
import { people } from "./people.svelte.js";
import { isAway, problemText } from "./refusal.js";
import { mems, setKey } from "./session.js";
import { addDays, dateAt, dayWindow, monday } from "./time.js";

export type View = "day" | "week" | "board" | "find";
export type Line = "connecting" | "live" | "lost";

export interface Toast {
  id: number;
  text: string;
  kind: "done" | "wrong";
  undo?: () => Promise<void>;
}

class Desk {
  phase = $state<"starting" | "signed-out" | "ready" | "unreachable">("starting");
  zone = $state("UTC");
  caller = $state.raw<Caller>();
  doctors = $state.raw<Doctor[]>([]);
  types = $state.raw<AppointmentType[]>([]);
  rooms = $state.raw<Room[]>([]);
  view = $state<View>("day");
  date = $state("");
  /** The doctor of the week view. */
  doctor = $state(0);
  hidden = $state<number[]>(JSON.parse(localStorage.getItem("mems-hidden") ?? "[]") as number[]);
  visits = $state.raw<Appointment[]>([]);
  tickets = $state.raw<Ticket[]>([]);
  closures = $state.raw<Closure[]>([]);
  hours = $state.raw<Record<number, WorkingHours>>({});
  away = $state.raw<Record<number, TimeOff[]>>({});
  loading = $state(true);
  /** When what is shown was read; 0: never. */
  readAt = $state(0);
  trouble = $state("");
  line = $state<Line>("connecting");
  now = $state(Date.now());
  toasts = $state<Toast[]>([]);
  /** The booking dialog is open with this draft. */
  draft = $state.raw<Draft>();
  /** What is known of a booking for which a time is still being looked for. */
  pending = $state.raw<Partial<Draft>>();
  /** Counts what changed in the clinic, so that free times are looked up again. */
  changes = $state(0);
  open = $state<number>(); // the visit whose card is open
  moving = $state.raw<Appointment>();
  /** A move that was refused, with what is free instead. */
  refused = $state.raw<{ visit: Appointment; problem: Problem; to: Move; broken: readonly Override["rules"][number][] }>();
  /** A walk-in is being taken, with this doctor unless 0. */
  walkIn = $state<number>();

  shown = $derived(this.doctors.filter((d) => !this.hidden.includes(d.id)));
  today = $derived(dateAt(this.now, this.zone));

  private asked = 0;
  private toastId = 0;
  private ending: AbortController | undefined;
  private soon: ReturnType<typeof setTimeout> | undefined;
  /** Doctors of whom more than the visits is to be read again. */
  private stale = { calendar: new Set<number>(), queue: new Set<number>() };
  private calendarsFrom = "";
  private queuesOf = "";

  may(p: Permission): boolean {
    return this.caller?.permissions.includes(p) ?? false;
  }

  typeOf(a: { type_id: number | null }): AppointmentType | undefined {
    return this.types.find((t) => t.id === a.type_id);
  }

  doctorName(id: number): string {
    return this.doctors.find((d) => d.id === id)?.full_name ?? `Doctor ${id}`;
  }

  roomName(id: number | null): string {
    return this.rooms.find((r) => r.id === id)?.name ?? "";
  }

  async start(): Promise<void> {
    this.phase = "starting";
    const [version, me] = await Promise.all([mems.getVersion(), mems.getCaller()]);
    if (version.data) this.zone = version.data.time_zone;
    this.date ||= dateAt(Date.now(), this.zone);
    if (isProblem(me.error, "unauthenticated")) {
      this.phase = "signed-out";
      return;
    }
    if (!me.data) {
      this.trouble = said(me.error);
      this.phase = "unreachable";
      return;
    }
    this.caller = me.data;
    try {
      await this.readHouse();
    } catch (error) {
      this.trouble = said(problemOf(error) ?? (error as NoAnswer));
      this.phase = "unreachable";
      return;
    }
    this.phase = "ready";
    void this.read();
    void this.watch();
  }

  signOut(): void {
    this.ending?.abort();
    setKey(undefined);
    this.caller = undefined;
    this.visits = [];
    this.tickets = [];
    this.draft = this.pending = undefined;
    people.forget();
    this.phase = "signed-out";
  }

  private async readHouse(): Promise<void> {
    const [doctors, types, rooms] = await Promise.all([
      all(pages(mems.listDoctors, { query: { is_active: true, limit: 200 } })),
      all(pages(mems.listAppointmentTypes, { query: { limit: 200 } })),
      all(pages(mems.listRooms, { query: { limit: 200 } })),
    ]);
    const own = this.caller?.doctor_id;
    this.doctors = own ? doctors.filter((d) => d.id === own) : doctors;
    this.types = types;
    this.rooms = rooms;
    if (!this.doctors.some((d) => d.id === this.doctor)) this.doctor = this.doctors[0]?.id ?? 0;
  }

  /** Reads what is shown. Of several that are under way only the last one counts. */
  async read(): Promise<void> {
    const turn = ++this.asked;
    const date = this.date;
    const week = this.view === "week";
    const doctor = this.doctor;
    const from = week ? monday(date) : date;
    const window = { start: dayWindow(from, this.zone).start, end: dayWindow(week ? addDays(from, 6) : from, this.zone).end };
    const iso = (t: number) => new Date(t).toISOString();
    const of = week ? this.doctors.filter((d) => d.id === doctor) : this.doctors;
    try {
      const [visits, closures] = await Promise.all([
        all(
          pages(mems.listAppointments, {
            query: week
              ? { from: iso(window.start), to: iso(window.end), doctor_id: doctor, include: ["patient"], limit: 200 }
              : { date, include: ["patient"], limit: 200 },
          }),
        ),
        all(pages(mems.listClosures, { query: { from: iso(window.start), limit: 200 } })),
        this.readCalendars(of, iso(window.start)),
        this.readQueues(),
      ]);
      if (turn !== this.asked) return;
      this.visits = visits;
      this.closures = closures.filter((c) => Date.parse(c.start_time) < window.end);
      this.trouble = "";
      this.readAt = Date.now();
    } catch (error) {
      if (turn !== this.asked) return;
      const problem = problemOf(error);
      if (isProblem(problem, "unauthenticated")) this.signOut();
      this.trouble = said(problem ?? (error as NoAnswer));
    } finally {
      if (turn === this.asked) this.loading = false;
    }
  }

  // Hours, absences and queues of a doctor are read again when they changed, not with
  // every booking: a desk has its share of requests, and twelve doctors would use it up.
  private async readCalendars(doctors: Doctor[], from: string): Promise<void> {
    const known = this.calendarsFrom === from;
    this.calendarsFrom = from;
    const wanted = doctors.filter((d) => !known || !this.hours[d.id] || this.stale.calendar.has(d.id));
    for (const d of wanted) this.stale.calendar.delete(d.id);
    const read = await Promise.all(
      wanted.map(async (d) => ({
        id: d.id,
        hours: await unwrap(mems.getWorkingHours({ path: { id: d.id } })),
        away: await all(pages(mems.listTimeOff, { path: { id: d.id }, query: { from, limit: 50 } })),
      })),
    ).catch((error: unknown) => {
      this.calendarsFrom = ""; // what was not read is read the next time
      throw error;
    });
    if (read.length === 0) return;
    this.hours = { ...this.hours, ...Object.fromEntries(read.map((c) => [c.id, c.hours])) };
    this.away = { ...this.away, ...Object.fromEntries(read.map((c) => [c.id, c.away])) };
  }

  private async readQueues(): Promise<void> {
    if (this.view !== "board" || !this.may("queue:read")) return;
    const date = this.date;
    const known = this.queuesOf === date;
    this.queuesOf = date;
    const wanted = this.doctors.filter((d) => !known || this.stale.queue.has(d.id));
    for (const d of wanted) this.stale.queue.delete(d.id);
    const read = await Promise.all(
      wanted.map((d) => all(pages(mems.getQueue, { query: { doctor_id: d.id, date, limit: 200 } }))),
    ).catch((error: unknown) => {
      this.queuesOf = "";
      throw error;
    });
    const others = known ? this.tickets.filter((t) => !wanted.some((d) => d.id === t.doctor_id)) : [];
    this.tickets = [...others, ...read.flat()];
  }

  show(view: View, date = this.date): void {
    if (view === this.view && date === this.date) return;
    this.view = view;
    this.date = date;
    this.loading = true;
    void this.read();
  }

  week(doctor: number): void {
    this.doctor = doctor;
    this.view = "week";
    this.loading = true;
    void this.read();
  }

  hide(id: number, hidden: boolean): void {
    this.hidden = hidden ? [...this.hidden, id] : this.hidden.filter((h) => h !== id);
    localStorage.setItem("mems-hidden", JSON.stringify(this.hidden));
  }

  /** Follows the clinic's changes; while the line is down, looks every five seconds. */
  private async watch(): Promise<void> {
    this.ending?.abort();
    const ending = new AbortController();
    this.ending = ending;
    const poll = setInterval(() => {
      this.now = Date.now();
      if (this.line === "live") return;
      this.forget();
      void this.read();
    }, 5000);
    ending.signal.addEventListener("abort", () => clearInterval(poll));
    const onState = (state: "live" | "lost") => {
      if (state === "lost") this.forget(); // nobody tells what changes meanwhile
      else this.refresh(); // and what changed before somebody told
      this.line = state;
    };
    try {
      for await (const { event, data } of follow<Change>(mems, "/stream", { signal: ending.signal, onState, firstDelay: 300 })) {
        if (event === "change") this.heed(data);
      }
    } catch (error) {
      this.line = "lost";
      this.forget();
      if (isProblem(problemOf(error), "unauthenticated")) this.signOut();
    }
  }

  private forget(): void {
    this.calendarsFrom = "";
    this.queuesOf = "";
  }

  private heed(c: Change): void {
    switch (c.object) {
      case "working_hours":
      case "time_off":
        if (c.doctor_id !== null) this.stale.calendar.add(c.doctor_id);
        break;
      case "ticket":
        if (c.doctor_id !== null) this.stale.queue.add(c.doctor_id);
        break;
      case "doctor":
      case "room":
      case "appointment_type":
        void this.readHouse().then(() => this.refresh(), () => this.refresh());
        return;
      case "appointment":
      case "closure":
      case "patient":
        break;
      default:
        return;
    }
    this.refresh();
  }

  /** Opens the booking dialog at a time, for whom and what a time is being looked for. */
  bookAt(slot: Pick<Draft, "doctor" | "start"> & Partial<Draft>): void {
    this.draft = newDraft({ ...this.pending, ...slot });
  }

  /** Looks for another time for a draft, in the calendar or among the free times. */
  seek(draft: Partial<Draft>, view: View = this.view): void {
    const { start: _, ...rest } = draft;
    this.pending = rest;
    this.draft = undefined;
    this.show(view);
  }

  /** Reads again soon, once for what happens until then. */
  refresh(): void {
    this.changes++;
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      void this.read();
    }, 100);
  }

  say(text: string, undo?: () => Promise<void>): void {
    this.toast({ text, kind: "done", ...(undo ? { undo } : {}) });
  }

  complain(error: Problem | NoAnswer | undefined): void {
    if (error) this.toast({ text: said(error), kind: "wrong" });
  }

  private toast(t: Omit<Toast, "id">): void {
    const toast = { ...t, id: ++this.toastId };
    this.toasts = [...this.toasts.slice(-2), toast];
    setTimeout(() => this.dismiss(toast.id), t.undo ? 12_000 : 7_000);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((t) => t.id !== id);
  }
}

/** A refusal in words. */
export function said(error: Problem | NoAnswer): string {
  return isAway(error) ? "The server can't be reached. What you see may be old; trying again." : problemText(error);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

export const desk = new Desk();
