// What the check-in board says of a patient: how long they wait, that they are called, or how late they are.
import type { Appointment, Ticket } from "mems-client";
import { upcoming } from "./rules.js";
import { minutes } from "./time.js";

const since = (from: string, now: number) => Math.max(0, Math.round((now - Date.parse(from)) / 60_000));

/** Says where a ticket stands in the queue; "" once it is not in it. */
export function ticketText(ticket: Pick<Ticket, "status" | "created_at">, now: number): string {
  if (ticket.status === "called") return "called";
  return ticket.status === "waiting" ? `Waiting ${minutes(since(ticket.created_at, now))}` : "";
}

/** Says the same of an appointment with its ticket; before check-in, how late the patient is on the day itself. */
export function waitingText(
  v: Pick<Appointment, "status" | "start_time">,
  ticket: Pick<Ticket, "status" | "created_at"> | undefined,
  now: number,
  today: boolean,
): string {
  if (v.status === "checked_in") return ticket ? ticketText(ticket, now) : "";
  if (!today || !upcoming.includes(v.status)) return "";
  const late = Math.round((now - Date.parse(v.start_time)) / 60_000);
  return late > 0 ? `${minutes(late)} late` : "";
}
