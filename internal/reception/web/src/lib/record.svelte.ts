// The patient whose record is open: read when it opens, and again when a change that concerns them is announced.
import {
  type Appointment,
  type Change,
  etag,
  type NoAnswer,
  pages,
  type Patient,
  type Problem,
  problemOf,
  type Series,
  unwrap,
  type WaitlistEntry,
} from "mems-client";
import { mems } from "./client.js";
import { all } from "./read.js";
import { upcoming } from "./rules.js";
import { session } from "./session.svelte.js";

/** How many others with the same phone number are shown. */
const HOUSEHOLD = 8;
/** How many series are read; a patient seldom has more than one. */
const SERIES = 5;
/** Changes that follow each other within this many milliseconds are read once. */
const SETTLE = 200;

class PatientRecord {
  patient = $state.raw<Patient>();
  /** The version of what is shown, for changes to it. */
  version = "";
  /** By start, cancelled ones included; undefined until they are read. */
  visits = $state.raw<Appointment[]>();
  /** Waiting and offered. */
  waitlist = $state.raw<WaitlistEntry[]>([]);
  /** Those with upcoming dates. */
  series = $state.raw<Series[]>([]);
  /** Other patients with the same phone number. */
  household = $state.raw<Patient[]>([]);
  /** Why the last reading failed. */
  wrong = $state.raw<Problem | NoAnswer>();

  private id = 0;
  private turn = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  async open(id: number): Promise<void> {
    this.close();
    this.id = id;
    await this.read();
  }

  close(): void {
    clearTimeout(this.timer);
    this.turn++;
    this.id = 0;
    this.version = "";
    this.patient = this.visits = this.wrong = undefined;
    this.waitlist = [];
    this.series = [];
    this.household = [];
  }

  /** Reads everything; a later call makes an earlier one void. */
  async read(): Promise<void> {
    const turn = ++this.turn;
    try {
      const found = await mems.getPatient({ path: { id: this.id } });
      const patient = await unwrap(found);
      if (turn !== this.turn) return;
      this.id = patient.id; // of a record that was merged, the one that it was merged into is answered
      this.patient = patient;
      this.version = etag(found) ?? "";
      const [visits, waitlist, household] = await Promise.all([
        all(pages(mems.listAppointments, { query: { patient_id: patient.id, limit: 200 } })),
        this.readWaitlist(patient.id),
        this.readHousehold(patient),
      ]);
      const series = await this.readSeries(visits);
      if (turn !== this.turn) return;
      this.visits = visits;
      this.waitlist = waitlist;
      this.household = household;
      this.series = series;
      this.wrong = undefined;
    } catch (error) {
      if (turn === this.turn) this.wrong = problemOf(error) ?? (error as NoAnswer);
    }
  }

  /** Reads again, soon, if a record is open. */
  reread(): void {
    if (!this.id) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.read(), SETTLE);
  }

  /** Takes note of a change that was announced. */
  apply(change: Change): void {
    if (this.id && this.concerns(change)) this.reread();
  }

  private concerns({ object, object_id: id, appointment, waitlist_entry: entry }: Change): boolean {
    if (object === "appointment") return appointment?.patient_id === this.id || !!this.visits?.some((v) => v.id === id);
    if (object === "waitlist_entry") return entry?.patient_id === this.id || this.waitlist.some((w) => w.id === id);
    return object === "patient" && (id === this.id || this.household.some((p) => p.id === id));
  }

  private async readWaitlist(patient_id: number): Promise<WaitlistEntry[]> {
    if (!session.may("waitlist:read")) return [];
    const entries = await all(pages(mems.listWaitlist, { query: { patient_id, limit: 200 } }));
    return entries.filter((w) => w.status === "waiting" || w.status === "offered");
  }

  private async readHousehold({ id, phone }: Patient): Promise<Patient[]> {
    if (!phone) return [];
    const answer = await mems.listPatients({ query: { phone, limit: HOUSEHOLD + 1 } });
    // A number that the search does not take is no reason not to show the rest.
    return (answer.data?.items ?? []).filter((p) => p.id !== id && !p.erased_at).slice(0, HOUSEHOLD);
  }

  private async readSeries(visits: Appointment[]): Promise<Series[]> {
    const ahead = visits.filter((v) => upcoming.includes(v.status) && Date.parse(v.start_time) > session.now);
    const ids = new Set(ahead.map((v) => v.series_id).filter((id) => id !== null));
    return Promise.all([...ids].slice(0, SERIES).map((id) => unwrap(mems.getSeries({ path: { id } }))));
  }
}

export const record = new PatientRecord();
