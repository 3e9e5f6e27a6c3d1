// The clinic's doctors, appointment types and rooms, and whose columns are shown.
import { type AppointmentType, type Doctor, pages, type Room } from "mems-client";
import { mems } from "./client.js";
import { all } from "./read.js";
import { session } from "./session.svelte.js";

const HIDDEN = "mems-hidden";

class Directory {
  /** Doctors who can be booked. */
  doctors = $state.raw<Doctor[]>([]);
  /** All doctors, inactive ones included. */
  everyone = $state.raw<Doctor[]>([]);
  types = $state.raw<AppointmentType[]>([]);
  rooms = $state.raw<Room[]>([]);
  /** Doctors without a column of their own. */
  hidden = $state<number[]>(JSON.parse(localStorage.getItem(HIDDEN) ?? "[]") as number[]);
  shown = $derived(this.doctors.filter((d) => !this.hidden.includes(d.id)));

  /** Throws ProblemError or NoAnswer. */
  async read(): Promise<void> {
    const [doctors, types, rooms] = await Promise.all([
      all(pages(mems.listDoctors, { query: { limit: 200 } })),
      all(pages(mems.listAppointmentTypes, { query: { limit: 200 } })),
      all(pages(mems.listRooms, { query: { limit: 200 } })),
    ]);
    const own = session.caller?.doctor_id;
    this.everyone = own ? doctors.filter((d) => d.id === own) : doctors;
    this.doctors = this.everyone.filter((d) => d.is_active);
    this.types = types;
    this.rooms = rooms;
  }

  typeOf(a: { type_id: number | null }): AppointmentType | undefined {
    return this.types.find((t) => t.id === a.type_id);
  }

  doctorName(id: number): string {
    return this.everyone.find((d) => d.id === id)?.full_name ?? `Doctor ${id}`;
  }

  roomName(id: number | null): string {
    return this.rooms.find((r) => r.id === id)?.name ?? "";
  }

  /** Gives columns to these doctors in this window, until others are chosen. */
  showOnly(ids: number[]): void {
    this.hidden = this.doctors.map((d) => d.id).filter((id) => !ids.includes(id));
  }

  hide(id: number, hidden: boolean): void {
    this.hidden = hidden ? [...this.hidden, id] : this.hidden.filter((h) => h !== id);
    localStorage.setItem(HIDDEN, JSON.stringify(this.hidden));
  }
}

export const directory = new Directory();
