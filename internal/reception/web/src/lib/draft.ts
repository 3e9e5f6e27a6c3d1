// The appointment that is being booked. One draft goes through finding a time,
// the calendar, the booking dialog and a conflict, so that what a free time was
// computed with (type, length, room) is what is booked.
import type {
  Appointment,
  AppointmentCreate,
  AppointmentReschedule,
  AppointmentType,
  Doctor,
  HoldCreate,
  Override,
  Room,
} from "mems-client";
import type { Person } from "./person.js";
import { frees } from "./words.js";

/** No room is named: none, or the one that the server chooses for a type that needs one. */
export const NO_ROOM = 0;
/** Any suitable room that is free. */
export const ANY_ROOM = -1;

export interface Draft {
  patient?: Person | undefined;
  /** An appointment type's id; 0: no type. */
  type: number;
  doctor: number;
  /** A room's id, NO_ROOM or ANY_ROOM. */
  room: number;
  /** Milliseconds; NaN while no time is chosen. */
  start: number;
  minutes: number;
  /** What the appointment is for, and what staff should know. */
  reason?: string | undefined;
  note?: string | undefined;
  /** The time is the next free one, not one that the user chose: it follows type, doctor and length. */
  suggested?: boolean;
}

/** Where an appointment is to be rescheduled. Without a room, the room follows. */
export interface Move {
  doctor: number;
  start: number;
  minutes?: number;
  room?: number;
}

export function newDraft(known: Partial<Draft>): Draft {
  return { type: 0, doctor: 0, room: NO_ROOM, start: NaN, minutes: 30, ...known };
}

// The form in which the server compares specializations: without case, in NFC.
const key = (s: string) => s.trim().normalize("NFC").toUpperCase().toLowerCase().normalize("NFC");

/** Reports whether a doctor may be booked for a type, as clinic.AppointmentType.Allows decides. */
export function allows(type: AppointmentType, doctor: Doctor): boolean {
  if (type.specializations.length === 0 && type.doctor_ids.length === 0) return true;
  return type.doctor_ids.includes(doctor.id) || type.specializations.some((s) => key(s) === key(doctor.specialization));
}

/** The types that can be booked with at least one of the doctors. */
export function typesFor(types: AppointmentType[], doctors: Doctor[]): AppointmentType[] {
  return types.filter((t) => t.is_active && doctors.some((d) => allows(t, d)));
}

export function roomsFor(type: AppointmentType | undefined, rooms: Room[]): Room[] {
  return rooms.filter((r) => r.is_active && (!type?.room_ids.length || type.room_ids.includes(r.id)));
}

/** What a room's field offers first, before the rooms by name. */
export function roomDefaults(type: AppointmentType | undefined): { value: number; label: string }[] {
  if (type?.needs_room) return [{ value: NO_ROOM, label: "Any suitable room" }];
  return [
    { value: NO_ROOM, label: "No room" },
    { value: ANY_ROOM, label: "Any free room" },
  ];
}

interface House {
  types: AppointmentType[];
  doctors: Doctor[];
  rooms: Room[];
}

/** Clears what the rest of the draft rules out, and says so: nothing is sent that is not shown. */
export function settle(draft: Draft, house: House): { draft: Draft; notes: string[] } {
  const settled = { ...draft };
  const notes: string[] = [];
  const doctor = house.doctors.find((d) => d.id === draft.doctor);
  let type = house.types.find((t) => t.id === draft.type);
  if (draft.doctor && !doctor) {
    settled.doctor = 0;
    notes.push("This doctor can no longer be booked. Choose another one.");
  }
  if (draft.type && !type?.is_active) {
    notes.push(`${type?.name ?? "This type"} can no longer be booked. Choose another type.`);
    type = undefined;
    settled.type = 0;
  } else if (type && doctor && !allows(type, doctor)) {
    notes.push(`${doctor.full_name} does not offer ${type.name}. Choose another type.`);
    type = undefined;
    settled.type = 0;
  }
  if (draft.room > 0 && !roomsFor(type, house.rooms).some((r) => r.id === draft.room)) {
    const room = house.rooms.find((r) => r.id === draft.room)?.name ?? "This room";
    notes.push(
      type ? `${room} is not a room for ${type.name}. Choose another room.` : `${room} can no longer be booked.`,
    );
    settled.room = NO_ROOM;
  } else if (draft.room === ANY_ROOM && (type?.needs_room || !house.rooms.some((r) => r.is_active))) {
    settled.room = NO_ROOM; // which such a type means anyway; without rooms there is no field for it
  }
  return { draft: settled, notes };
}

/** The request that books a draft. */
export function bookingOf(d: Draft & { patient: Person }, override?: Override): AppointmentCreate {
  return {
    patient_id: d.patient.id,
    doctor_id: d.doctor,
    start_time: new Date(d.start).toISOString(),
    duration_minutes: d.minutes,
    ...(d.type ? { type_id: d.type } : {}),
    ...(d.room > 0 ? { room_id: d.room } : d.room === ANY_ROOM ? { any_room: true } : {}),
    ...(d.reason?.trim() ? { reason: d.reason } : {}),
    ...(d.note?.trim() ? { note: d.note } : {}),
    ...(override ? { override } : {}),
  };
}

/** How long a time is kept free, in seconds. */
export const KEEP = 300;

/** What is kept of a draft: its doctor, time, type and room, for whatever patient. */
export function holdOf(d: Draft): HoldCreate {
  return {
    doctor_id: d.doctor,
    start_time: new Date(d.start).toISOString(),
    duration_minutes: d.minutes,
    ...(d.type ? { type_id: d.type } : {}),
    ...(d.room > 0 ? { room_id: d.room } : d.room === ANY_ROOM ? { any_room: true } : {}),
    seconds: KEEP,
  };
}

/** The doctor of the patient's latest appointment, or of the next one when there was none; 0: none of these doctors. */
export function lastDoctor(appointments: Appointment[], now: number, doctors: { id: number }[]): number {
  const kept = appointments.filter((a) => !frees.has(a.status) && doctors.some((d) => d.id === a.doctor_id));
  const at = (a: Appointment) => Date.parse(a.start_time);
  const past = kept.filter((a) => at(a) <= now).sort((a, b) => at(b) - at(a));
  const next = kept.filter((a) => at(a) > now).sort((a, b) => at(a) - at(b));
  return (past[0] ?? next[0])?.doctor_id ?? 0;
}

/** What free times are asked for: all that they depend on but the doctor. */
export function availabilityOf(d: Pick<Draft, "patient" | "type" | "minutes">) {
  return {
    ...(d.type ? { type_id: d.type } : {}),
    duration_minutes: d.minutes,
    ...(d.patient ? { patient_id: d.patient.id } : {}),
  };
}

/** The request that reschedules an appointment. To another doctor it goes into any room that is free. */
export function rescheduleOf(a: Appointment, to: Move, override?: Override): AppointmentReschedule {
  const follows = to.room === undefined && a.room_id !== null && to.doctor !== a.doctor_id;
  return {
    doctor_id: to.doctor,
    start_time: new Date(to.start).toISOString(),
    ...(to.minutes ? { duration_minutes: to.minutes } : {}),
    ...(follows || to.room === ANY_ROOM
      ? { any_room: true }
      : to.room === undefined
        ? {}
        : { room_id: to.room || null }),
    ...(override ? { override } : {}),
  };
}
