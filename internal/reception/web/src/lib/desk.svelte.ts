// What the desk knows: the clinic, the day that is shown, and what has just been said.
import {
  type Appointment,
  type AppointmentType,
  type Caller,
  type Change,
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
} from "mems-client";
import { type Draft, type Move, newDraft } from "./draft.js";
import { people } from "./people.svelte.js";
import { all, needs, nothing, Reader, type Shown, type View, wanted } from "./read.js";
import { isAway, problemText } from "./refusal.js";
import { apiKey, mems, server, setKey } from "./session.js";
import { dateAt } from "./time.js";

export type { View } from "./read.js";
/** How changes made elsewhere arrive; polled: this caller may not follow them. */
export type Line = "connecting" | "live" | "lost" | "polled";

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
  /** What was read last, for whatever view, day and doctors. */
  private shownData = $state.raw<Shown>();
  private wanted = $derived(wanted(this.view, this.date, this.doctor));
  /** What was read for what is looked at now; nothing of another day. */
  private current = $derived(this.shownData?.key === this.wanted.key ? this.shownData : undefined);
  visits = $derived((this.current ?? nothing).visits);
  tickets = $derived((this.current ?? nothing).tickets);
  closures = $derived((this.current ?? nothing).closures);
  hours = $derived((this.current ?? nothing).hours);
  away = $derived((this.current ?? nothing).away);
  /** When what is shown was read; 0: never. */
  readAt = $state(0);
  /** Why the last reading failed. */
  trouble = $state("");
  /** Permissions without which this view shows nothing. */
  missing = $derived(this.phase === "ready" ? needs[this.view].filter((p) => !this.may(p)) : []);
  /** Loading and refused show no list: there is none of this day yet. */
  status = $derived<"loading" | "ready" | "refused">(this.current ? "ready" : this.trouble ? "refused" : "loading");
  loading = $derived(
    this.status === "loading" && !this.missing.length && this.doctors.length > 0 && this.view !== "find",
  );
  /** Why somebody has to sign in again. */
  signedOutBecause = $state("");
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
  refused = $state.raw<{
    visit: Appointment;
    problem: Problem;
    to: Move;
    broken: readonly Override["rules"][number][];
  }>();
  /** A walk-in is being taken, with this doctor unless 0. */
  walkIn = $state<number>();

  shown = $derived(this.doctors.filter((d) => !this.hidden.includes(d.id)));
  today = $derived(dateAt(this.now, this.zone));

  private toastId = 0;
  private ending: AbortController | undefined;
  private reader = new Reader();
  private reading: { key: string; ending: AbortController; again: boolean } | undefined;
  private next: { at: number; timer: ReturnType<typeof setTimeout> } | undefined;
  private failures = 0;
  /** What this caller may not read: not read again unless somebody asks for it. */
  private refusedKey = "";

  constructor() {
    server.onUnauthenticated = () => {
      if (this.phase === "ready") this.signOut("Your key has expired or was revoked. Sign in again to continue.");
    };
  }

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
      this.signOut(apiKey() ? "Your key has expired or was revoked. Sign in again to continue." : "");
      return;
    }
    if (!me.data) {
      this.trouble = said(me.error);
      this.phase = "unreachable";
      return;
    }
    this.caller = me.data;
    try {
      if (this.may("directory:read")) await this.readHouse();
    } catch (error) {
      this.trouble = said(problemOf(error) ?? (error as NoAnswer));
      this.phase = "unreachable";
      return;
    }
    this.trouble = this.signedOutBecause = "";
    this.phase = "ready";
    void this.read();
    void this.watch();
  }

  /** Ends the session; nothing of the patients stays on the screen or in memory. */
  signOut(because = ""): void {
    this.ending?.abort();
    this.stopReading();
    setKey(undefined);
    this.caller =
      this.shownData =
      this.draft =
      this.pending =
      this.open =
      this.moving =
      this.refused =
      this.walkIn =
        undefined;
    this.toasts = [];
    this.trouble = "";
    this.failures = this.readAt = 0;
    this.refusedKey = "";
    this.reader.forget();
    people.forget();
    this.signedOutBecause = because;
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

  /**
   * Reads what is shown. What is asked for while the same is being read is read once
   * more after it; when something else is wanted, the older request ends unheard.
   */
  async read(): Promise<void> {
    this.cancelNext();
    const w = this.wanted;
    if (this.reading?.key === w.key) {
      this.reading.again = true;
      return;
    }
    this.stopReading();
    if (this.phase !== "ready" || !this.doctors.length || !this.readable()) return;
    const mine = { key: w.key, ending: new AbortController(), again: false };
    this.reading = mine;
    const may = (p: Permission) => this.may(p);
    try {
      const read = await this.reader.read(w, this.zone, this.doctors, may, mine.ending.signal, this.failures > 0);
      if (this.reading !== mine) return;
      this.shownData = read;
      this.trouble = "";
      this.failures = 0;
      this.refusedKey = "";
      this.readAt = Date.now();
      if (this.line !== "live") this.readIn(this.line === "polled" ? 30_000 : 5_000);
    } catch (error) {
      if (this.reading !== mine) return;
      mine.ending.abort(); // the other requests for the same view
      this.failed(problemOf(error) ?? (error as NoAnswer));
    } finally {
      if (this.reading === mine) this.reading = undefined;
    }
    if (mine.again && !this.failures) this.refresh();
  }

  /** Whether this caller may read what is shown; the free times are read by their own view. */
  private readable(): boolean {
    return needs[this.view === "find" ? "day" : this.view].every((p) => this.may(p));
  }

  // What passes by itself is tried again, later each time; a refusal is not.
  private failed(error: Problem | NoAnswer): void {
    this.trouble = said(error);
    this.failures++;
    if (isProblem(error) && error.status < 500 && error.status !== 429) {
      this.refusedKey = this.wanted.key;
      if (isProblem(error, "forbidden")) void this.readCaller();
      return;
    }
    this.readIn(Math.min(60_000, 5_000 * 2 ** (this.failures - 1)));
  }

  /** What the caller may do can change while the desk is open. */
  private async readCaller(): Promise<void> {
    const me = await mems.getCaller();
    if (me.data && this.phase === "ready") this.caller = me.data;
  }

  private stopReading(): void {
    this.cancelNext();
    const old = this.reading;
    this.reading = undefined;
    old?.ending.abort();
  }

  /** Reads by itself after a while, no sooner than the server wants to be asked. */
  private readIn(wait: number): void {
    const at = Math.max(Date.now() + wait, server.busyUntil);
    if (this.next && this.next.at <= at) return;
    this.cancelNext();
    this.next = { at, timer: setTimeout(() => this.readBySelf(), at - Date.now()) };
  }

  private readBySelf(): void {
    this.next = undefined;
    if (this.refusedKey === this.wanted.key) return;
    if (this.line !== "live") {
      this.reader.forget(); // nobody says what changes meanwhile
      this.changes++;
    }
    void this.read();
  }

  private cancelNext(): void {
    clearTimeout(this.next?.timer);
    this.next = undefined;
  }

  show(view: View, date = this.date): void {
    if (view === this.view && date === this.date) return;
    this.view = view;
    this.date = date;
    this.readNew();
  }

  week(doctor: number): void {
    this.doctor = doctor;
    this.view = "week";
    this.readNew();
  }

  private readNew(): void {
    if (!this.current) this.trouble = ""; // of what was shown before
    void this.read();
  }

  hide(id: number, hidden: boolean): void {
    this.hidden = hidden ? [...this.hidden, id] : this.hidden.filter((h) => h !== id);
    localStorage.setItem("mems-hidden", JSON.stringify(this.hidden));
  }

  /** Follows the clinic's changes; while the line is down, reads by itself. */
  private async watch(): Promise<void> {
    this.ending?.abort();
    const ending = new AbortController();
    this.ending = ending;
    const clock = setInterval(() => (this.now = Date.now()), 5000);
    ending.signal.addEventListener("abort", () => clearInterval(clock));
    this.line = this.may("changes:read") ? "connecting" : "polled";
    if (this.line === "polled") return;
    const onState = (state: "live" | "lost") => {
      this.reader.forget(); // what changes while the line is down, nobody tells
      this.line = state;
      if (state === "live") this.refresh();
      else this.readIn(5_000);
    };
    try {
      for await (const { event, data } of follow<Change>(mems, "/stream", {
        signal: ending.signal,
        onState,
        firstDelay: 300,
      })) {
        if (event === "change") this.heed(data);
      }
    } catch {
      // A refusal, such as of a permission that was taken away.
    }
    if (ending.signal.aborted) return;
    this.line = "polled";
    this.reader.forget();
    if (!this.failures) this.readIn(30_000);
  }

  private heed(c: Change): void {
    switch (c.object) {
      case "working_hours":
      case "time_off":
        if (c.doctor_id !== null) this.reader.forgetCalendar(c.doctor_id);
        break;
      case "ticket":
        if (c.doctor_id !== null) this.reader.forgetQueue(c.doctor_id);
        break;
      case "doctor":
      case "room":
      case "appointment_type":
        void this.readHouse().then(
          () => this.refresh(),
          () => this.refresh(),
        );
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
    this.readIn(100);
  }

  say(text: string, undo?: () => Promise<void>): void {
    this.toast({ text, kind: "done", ...(undo ? { undo } : {}) });
  }

  complain(error: Problem | NoAnswer | undefined): void {
    if (error) this.toast({ text: said(error), kind: "wrong" });
  }

  warn(text: string): void {
    this.toast({ text, kind: "wrong" });
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

export const desk = new Desk();
