// The view, day and doctor that are shown, and what was read for them.
import { type Change, isProblem, type NoAnswer, type Problem, problemOf } from "mems-client";
import { type Criteria, isDated, type Page } from "./address.js";
import { server } from "./client.js";
import type { Known } from "./columns.js";
import { directory } from "./directory.svelte.js";
import { type Clinic, needs, nothing, Reader, type Shown, type View, wanted } from "./read.js";
import { errorText } from "./refusal.js";
import { session } from "./session.svelte.js";

/** A step that follows another one within this many milliseconds is read when the steps end. */
const STEP = 250;
/** Steps end when none has come for this long. */
const PAUSE = 200;
/** What was changed here is announced within this time, or the line only seems to be live. */
const ANNOUNCED = 3_000;

class Calendar {
  view = $state<View>("day");
  /** What the window's address lacks, for which nothing is shown: a page of this name, or a date that there is. */
  nowhere = $state<"" | "page" | "date">("");
  date = $state("");
  /** The doctor of the week view. */
  doctor = $state(0);
  /** The only doctor on the check-in board; 0: all. */
  boardDoctor = $state(0);
  /** What free times are looked for, other than by default. */
  find = $state.raw<Criteria>({});
  /** The page of the settings that is shown. */
  settings = $state.raw<Page>({ section: "doctors" });
  /** Counts the addresses that were opened, so that a view begins with what they name. */
  opened = $state(0);
  /** Steps follow each other so fast that the days between them are not read. */
  settling = $state(false);
  /** Counts what was chosen to be shown; steps in quick succession count once. */
  burst = 0;
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
  /** What columns are drawn of. */
  known = $derived<Known>({
    zone: session.zone,
    today: session.today,
    visits: this.visits,
    closures: this.closures,
    hours: this.hours,
    away: this.away,
  });
  /** When what is shown was read; 0: never. */
  readAt = $state(0);
  /** Why the last reading failed. */
  trouble = $state("");
  /** Permissions without which this view shows nothing. */
  missing = $derived(session.phase === "ready" ? needs[this.view].filter((p) => !session.may(p)) : []);
  /** Loading and refused show no list: there is none of this day yet. */
  status = $derived<"loading" | "ready" | "refused">(this.current ? "ready" : this.trouble ? "refused" : "loading");
  loading = $derived(this.status === "loading" && !this.missing.length && directory.doctors.length > 0 && !this.apart);
  /** Counts what changed in the clinic, so that free times are looked up again. */
  changes = $state(0);
  /** Milliseconds from one reading to the next; 0 while changes are announced. */
  interval = 5_000;

  private reader = new Reader();
  private reading: { key: string; ending: AbortController; again: boolean } | undefined;
  private steppedAt = 0;
  private pause: ReturnType<typeof setTimeout> | undefined;
  private next: { at: number; timer: ReturnType<typeof setTimeout> } | undefined;
  private announced: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  /** What this caller may not read: not read again unless the user asks for it. */
  private refusedKey = "";

  /** repeated: by a key that is held down. */
  show(view: View, date = this.date, repeated = false): void {
    if (view === this.view && date === this.date && !this.nowhere) return;
    this.nowhere = "";
    this.step(view !== this.view, repeated);
    this.view = view;
    this.date = date;
    this.readSettled();
  }

  week(doctor: number): void {
    this.nowhere = "";
    this.step(this.view !== "week", false);
    this.doctor = doctor;
    this.view = "week";
    this.readSettled();
  }

  /** Shows a page of the settings. */
  openSettings(page: Page): void {
    this.nowhere = "";
    this.step(true, false);
    this.settings = page;
    this.view = "settings";
    this.readSettled();
  }

  /** Shows what an address names; a doctor of 0 is the one that was shown before, or all on the board. */
  open(to: { view: View; date: string; doctor: number; find: Criteria; settings?: Page | undefined }): void {
    this.endSteps();
    this.nowhere = "";
    const before = this.wanted.key;
    if (to.view === "week" && to.doctor) this.doctor = to.doctor;
    if (to.view === "board") this.boardDoctor = to.doctor;
    this.find = to.find;
    if (to.settings) this.settings = to.settings;
    this.view = to.view;
    this.date = to.date;
    this.opened++;
    if (this.wanted.key !== before || !this.current) this.readNew();
  }

  /** Reads doctors, types and rooms; the week view shows a doctor who is there. Throws ProblemError or NoAnswer. */
  async readDirectory(): Promise<void> {
    await directory.read();
    if (!directory.doctors.some((d) => d.id === this.doctor)) this.doctor = directory.doctors[0]?.id ?? 0;
  }

  /**
   * Shows what is kept, or reads it. What is asked for while the same is being read is read
   * once more after it; when something else is wanted, the older request ends unheard.
   */
  async read(): Promise<void> {
    this.cancelNext();
    const w = this.wanted;
    if (this.interval)
      this.reader.forget(); // changes are not reported meanwhile
    else if (this.showKept()) return;
    if (this.reading?.key === w.key) {
      this.reading.again = true;
      return;
    }
    this.stopReading();
    if (session.phase !== "ready" || !directory.doctors.length || !this.readable()) return;
    const mine = { key: w.key, ending: new AbortController(), again: false };
    this.reading = mine;
    try {
      const read = await this.reader.read(w, this.clinic(), mine.ending.signal, this.failing);
      if (this.reading !== mine) return;
      this.become(read);
      if (this.interval) this.readIn(this.interval);
    } catch (error) {
      if (this.reading !== mine) return;
      mine.ending.abort(); // the other requests for the same view
      this.failed(problemOf(error) ?? (error as NoAnswer));
    } finally {
      if (this.reading === mine) this.reading = undefined;
    }
    if (mine.again && !this.failures) this.reread();
  }

  /** Takes a change that was announced into what is kept and shown; nothing is read for it. */
  apply(change: Change): void {
    clearTimeout(this.announced);
    this.changes++;
    if (!this.reader.apply(change) || this.shownData?.key !== this.wanted.key) return;
    this.showKept();
  }

  /** After a change that was made here: the line announces it, or what is shown is read again. */
  refresh(): void {
    if (this.interval) return this.reread();
    this.changes++;
    clearTimeout(this.announced);
    this.announced = setTimeout(() => this.reread(), ANNOUNCED);
  }

  /** Reads everything again, soon, and once for what happens until then. */
  reread(): void {
    this.reader.forget();
    this.changes++;
    this.readIn(100);
  }

  /** Keeps nothing of what was read. */
  clear(): void {
    this.endSteps();
    clearTimeout(this.announced);
    this.stopReading();
    this.shownData = undefined;
    this.trouble = "";
    this.failures = this.readAt = 0;
    this.refusedKey = "";
    this.reader.forget();
  }

  /** Whether the view reads for itself what it shows, and not the appointments of a day. */
  get apart(): boolean {
    return !isDated(this.view);
  }

  /** Whether the last reading failed; the next attempt is then a matter of how often it did. */
  get failing(): boolean {
    return this.failures > 0;
  }

  private step(elsewhere: boolean, repeated: boolean): void {
    const at = Date.now();
    if (elsewhere) this.find = {};
    this.settling = !elsewhere && (repeated || at - this.steppedAt < STEP);
    if (!this.settling) this.burst++;
    this.steppedAt = at;
  }

  // What is passed by is not read: a key that is held down for a while would use up the desk's share of requests.
  private readSettled(): void {
    clearTimeout(this.pause);
    if (!this.settling) return this.readNew();
    this.stopReading();
    if (!this.current) this.trouble = "";
    this.pause = setTimeout(() => {
      this.settling = false;
      this.readNew();
    }, PAUSE);
  }

  private endSteps(): void {
    clearTimeout(this.pause);
    this.settling = false;
    this.burst++;
  }

  private clinic(): Clinic {
    return { zone: session.zone, doctors: directory.everyone, may: (p) => session.may(p) };
  }

  private showKept(): boolean {
    const kept = this.reader.kept(this.wanted, (p) => session.may(p));
    if (!kept || session.phase !== "ready") return false;
    this.stopReading();
    this.become(kept);
    return true;
  }

  private become(shown: Shown): void {
    this.shownData = shown;
    this.trouble = "";
    this.failures = 0;
    this.refusedKey = "";
    this.readAt = Date.now();
  }

  private readNew(): void {
    if (!this.current) this.trouble = ""; // of what was shown before
    void this.read();
  }

  /** Whether this caller may read what is shown; other views than those of the calendar read for themselves. */
  private readable(): boolean {
    return needs[this.apart ? "day" : this.view].every((p) => session.may(p));
  }

  // What passes by itself is tried again, later each time; a refusal is not.
  private failed(error: Problem | NoAnswer): void {
    this.trouble = errorText(error);
    this.failures++;
    if (isProblem(error) && error.status < 500 && error.status !== 429) {
      this.refusedKey = this.wanted.key;
      if (isProblem(error, "forbidden")) void session.readCaller();
      return;
    }
    this.readIn(Math.min(60_000, 5_000 * 2 ** (this.failures - 1)));
  }

  private stopReading(): void {
    this.cancelNext();
    const old = this.reading;
    this.reading = undefined;
    old?.ending.abort();
  }

  /** Reads by itself after a while, no sooner than the server wants to be asked. */
  readIn(wait: number): void {
    const at = Math.max(Date.now() + wait, server.busyUntil);
    if (this.next && this.next.at <= at) return;
    this.cancelNext();
    this.next = { at, timer: setTimeout(() => this.readBySelf(), at - Date.now()) };
  }

  private readBySelf(): void {
    this.next = undefined;
    if (this.settling || this.refusedKey === this.wanted.key) return;
    if (this.interval) this.changes++; // changes are not reported meanwhile
    void this.read();
  }

  private cancelNext(): void {
    clearTimeout(this.next?.timer);
    this.next = undefined;
  }
}

export const calendar = new Calendar();
