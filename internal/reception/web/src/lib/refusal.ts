// Refusals in the desk's own words. What the API says is meant for programs.
import { isProblem, type NoAnswer, type Problem, type ProblemSlug } from "mems-client";

const words: Partial<Record<ProblemSlug, string>> = {
  forbidden: "You don't have permission to do this.",
  unauthenticated: "You are signed out. Sign in again.",
  "rate-limited": "Too many requests at once. Wait a moment, then try again.",
  "patient-not-found": "This patient's record no longer exists. Choose the patient again.",
  "patient-merged": "This patient's record was merged into another one.",
  "doctor-not-found": "This doctor no longer exists. Choose another one.",
  "doctor-inactive": "This doctor takes no bookings. Choose another one.",
  "appointment-not-found": "This appointment no longer exists.",
  "appointment-type-not-found": "This type no longer exists. Choose another one.",
  "appointment-type-inactive": "This type can no longer be booked. Choose another one.",
  "appointment-type-not-allowed": "The doctor does not offer this type. Choose another doctor or type.",
  "room-not-found": "This room no longer exists. Choose another one.",
  "room-inactive": "This room can no longer be booked. Choose another one.",
  "room-not-suitable": "This type does not take place in this room. Choose another room.",
  "outside-working-hours": "Outside the doctor's working hours.",
  "time-off": "The doctor is absent at this time.",
  "doctor-overlap": "The doctor is not free: already booked at this time.",
  "patient-overlap": "The patient is already booked at this time.",
  "room-overlap": "The room is already booked at this time. Choose another room or time.",
  "no-room-free": "No suitable room is free at this time.",
  "too-early": "It is too early for this: the appointment is on another day.",
  "start-in-past": "This time is over. Choose a later one.",
  "email-taken": "Another patient has this e-mail address. Search for it to find the record.",
  "identifier-taken": "Another patient has this number. Search for it to find the record.",
  "already-in-queue": "The patient is already in this doctor's queue.",
  "nobody-works": "No doctor of this specialization works now.",
  "invalid-transition": "The appointment has changed meanwhile. Look at it again.",
  "precondition-failed": "The record has changed meanwhile. Look at it again.",
  "idempotency-key-in-use": "This is still being saved. Wait a moment, then look again.",
  "outcome-unknown": "It is not known whether this was saved. Look before you try again.",
};

/** The fields of the desk's forms by the members that they send. */
const fields: Record<string, string> = {
  first_name: "First name",
  last_name: "Last name",
  birth_date: "Date of birth",
  phone: "Phone",
  email: "E-mail",
  start_time: "Date and time",
  duration_minutes: "Minutes",
  room_id: "Room",
  type_id: "Type",
  doctor_id: "Doctor",
  note: "Note",
  reason: "Reason",
  q: "Search",
};

/** Reports whether no answer says anything about what was asked: no connection, or a server in trouble. */
export function isAway(error: Problem | NoAnswer): boolean {
  return !isProblem(error) || error.status >= 500;
}

/** Returns the text of a refusal; the component that shows it keeps what was typed. */
export function problemText(error: Problem | NoAnswer): string {
  if (isProblem(error, "outcome-unknown")) return words["outcome-unknown"] ?? "";
  if (isAway(error)) return "The server can't be reached. What you entered is kept.";
  const problem = error as Problem;
  if (isProblem(problem, "validation-failed")) {
    const named = problem.errors.map((e) => fields[(e.pointer ?? e.parameter ?? "").replace(/^.*\//, "")] ?? "");
    const known = [...new Set(named.filter(Boolean))];
    return known.length ? `Check what you entered: ${known.join(", ")}.` : "Something you entered is not valid.";
  }
  return words[problem.type.replace("/problems/", "") as ProblemSlug] ?? "This was refused. Look again, then retry.";
}

/** A refusal in words where nothing was typed: what is shown stays, and is read again. */
export function errorText(error: Problem | NoAnswer): string {
  return isAway(error) ? "The server can't be reached. What you see may be old; trying again." : problemText(error);
}
