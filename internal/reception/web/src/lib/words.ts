// What the desk calls things.
import type { AppointmentStatus, CancellationReason } from "mems-client";

export const statusWords: Record<AppointmentStatus, string> = {
  scheduled: "Scheduled",
  confirmed: "Confirmed",
  checked_in: "Here",
  in_progress: "With the doctor",
  completed: "Finished",
  cancelled: "Cancelled",
  no_show: "No-show",
  left_without_being_seen: "Left",
};

/** A sign beside the colour, for those who do not tell colours apart. */
export const statusSigns: Record<AppointmentStatus, string> = {
  scheduled: "",
  confirmed: "✓",
  checked_in: "●",
  in_progress: "▶",
  completed: "■",
  cancelled: "✕",
  no_show: "–",
  left_without_being_seen: "↩",
};

/** States that free the time again. */
export const frees: ReadonlySet<AppointmentStatus> = new Set<AppointmentStatus>([
  "cancelled",
  "no_show",
  "left_without_being_seen",
]);

export const reasonWords: Record<CancellationReason, string> = {
  patient_request: "Patient's request",
  doctor_unavailable: "Doctor unavailable",
  clinic_closed: "Clinic closed",
  rebooked: "Rebooked",
  booked_in_error: "Booked by mistake",
  other: "Other reason",
};

/** What the history calls what was done. */
export const actionWords: Record<string, string> = {
  book: "Booked",
  confirm: "Confirmed",
  check_in: "Checked in",
  start: "Visit started",
  complete: "Finished",
  no_show: "No-show",
  leave: "Left",
  cancel: "Cancelled",
  undo: "Undone",
  reschedule: "Moved",
  update: "Reason or note changed",
  merge: "Record merged",
  import: "Imported",
};

export function fullName(p: { first_name: string; last_name: string } | undefined): string {
  return p ? `${p.last_name}, ${p.first_name}` : "";
}

/** "1 appointment", "3 appointments" */
export function appointments(n: number): string {
  return `${n} ${n === 1 ? "appointment" : "appointments"}`;
}

/** A text without case and accents, to compare it with what somebody types. */
export function folded(text: string): string {
  return text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();
}

/** What an appointment or a walk-in is for, and what staff should know, on one line. */
export function texts(of: { reason?: string | null; note?: string | null }): string {
  return [of.reason, of.note].filter(Boolean).join(" · ");
}

/** A doctor's name as a column's head: without the title that all of them have. */
export function shortName(name: string): string {
  return name.replace(/^(Prof\.\s+)?Dr\.\s+(med\.\s+)?/u, "");
}
