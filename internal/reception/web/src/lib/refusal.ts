// Refusals in the desk's own words. What the API says is meant for programs.
import { isProblem, type NoAnswer, type Problem, type ProblemSlug } from "mems-client";

// The desk and the server are not of one version, or the desk is at fault.
const OUTDATED = "The server did not understand this. Load the desk again, then retry.";
// Whose record the desk does not show or make: a partner's or an administrator's.
const elsewhere = "This record no longer exists. Look again.";

/** What the desk says of each type of problem. The compiler misses one that the contract has and this table has not. */
export const words: Record<ProblemSlug, string> = {
  // Who asks, and how often.
  unauthenticated: "You are signed out. Sign in again.",
  forbidden: "You don't have permission to do this.",
  "cross-origin": "This page was not opened at the clinic's own address. Open the desk there.",
  "local-only": "This server can only be used on its own computer. Ask your administrator.",
  "rate-limited": "Too many requests at once. Wait a moment, then try again.",
  "too-many-streams": "The desk is open in too many windows. Close some of them.",

  // What is not there, or no longer.
  "not-found": "The server does not know this. The desk may be out of date: load it again.",
  "patient-not-found": "This patient's record no longer exists. Choose the patient again.",
  "doctor-not-found": "This doctor no longer exists. Choose another one.",
  "appointment-not-found": "This appointment no longer exists.",
  "appointment-type-not-found": "This type no longer exists. Choose another one.",
  "room-not-found": "This room no longer exists. Choose another one.",
  "time-off-not-found": "This absence no longer exists.",
  "closure-not-found": "This closure no longer exists.",
  "hold-not-found": "The time is no longer kept free. Look for a free time again.",
  "plan-not-found": "This plan no longer exists. Make a new one.",
  "waitlist-entry-not-found": "This waitlist entry no longer exists.",
  "series-not-found": "This series no longer exists.",
  "ticket-not-found": "This number is no longer in the queue.",
  "api-key-not-found": elsewhere,
  "webhook-not-found": elsewhere,
  "delivery-not-found": elsewhere,
  "calendar-feed-not-found": elsewhere,

  // Records of patients, and of the house.
  "email-taken": "Another patient has this e-mail address. Search for it to find the record.",
  "identifier-taken": "Another patient has this number. Search for it to find the record.",
  "possible-duplicate": "This may be somebody who is registered. Compare before you register.",
  "patient-merged": "This patient's record was merged into another one.",
  "merge-conflict": "The two patients have appointments at the same time. Move or cancel one of them first.",
  "has-appointments": "This is used by appointments, so it cannot be deleted.",
  "has-open-appointments": "The patient still has open appointments. Finish or cancel them first.",
  "name-taken": "This name is already used. Choose another one.",
  "doctor-inactive": "This doctor takes no bookings. Choose another one.",
  "appointment-type-inactive": "This type can no longer be booked. Choose another one.",
  "room-inactive": "This room can no longer be booked. Choose another one.",
  "appointment-type-not-allowed": "The doctor does not offer this type. Choose another doctor or type.",
  "room-not-suitable": "This type does not take place in this room. Choose another room.",

  // Times.
  "outside-working-hours": "Outside the doctor's working hours.",
  "outside-booking-window": "This time is too soon or too far ahead to be booked. Choose another one.",
  "time-off": "The doctor is absent at this time.",
  "doctor-overlap": "The doctor is not free: already booked at this time.",
  "patient-overlap": "The patient is already booked at this time.",
  "room-overlap": "The room is already booked at this time. Choose another room or time.",
  "no-room-free": "No suitable room is free at this time.",
  "start-in-past": "This time is over. Choose a later one.",
  "hold-not-usable": "Another time was kept free than the one to be booked. Look for a free time again.",
  "too-many-holds": "Too many times are kept free already. Book or release one of them first.",
  "too-many-visits": "These are too many appointments at once. Choose a shorter period.",
  "plan-not-applied": "Some of the appointments can no longer be moved as planned. Make a new plan.",
  "series-conflict": "Not all dates of the series are free. Choose other times, or leave those dates out.",

  // Waitlist and queue.
  "too-many-waitlist-entries": "The patient is on the waitlist too often already. Remove an entry first.",
  "waitlist-entry-closed": "This waitlist entry is closed. Add the patient again.",
  "no-offer": "This time is no longer offered.",
  "already-in-queue": "The patient is already in this doctor's queue.",
  "queue-empty": "No patients are waiting.",
  "nobody-works": "No doctor of this specialization works now.",

  // What has changed meanwhile.
  "invalid-transition": "The appointment has changed meanwhile. Look at it again.",
  "invalid-ticket-transition": "The patient's place in the queue has changed meanwhile. Look at it again.",
  "too-early": "It is too early for this: the appointment is on another day.",
  "precondition-failed": "The record has changed meanwhile. Look at it again.",
  "idempotency-key-in-use": "This is still being saved. Wait a moment, then look again.",
  "outcome-unknown": "It is not known whether this was saved. Look before you try again.",

  // What the desk should not have sent, and what the server cannot do.
  "validation-failed": "Something you entered is not valid.",
  "malformed-request": OUTDATED,
  "method-not-allowed": OUTDATED,
  "not-acceptable": OUTDATED,
  "unsupported-media-type": OUTDATED,
  "idempotency-key-reused": OUTDATED,
  "payload-too-large": "This is too long to be saved. Shorten it.",
  "internal-error": "The server failed to do this. What you entered is kept.",
  unavailable: "The server can't do this now. What you entered is kept.",
};

/** The fields of the desk's forms by the members that they send. */
const fields: Record<string, string> = {
  patient_id: "Patient",
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
  full_name: "Name",
  specialization: "Specialization",
  overbook_cap: "Overbooking",
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
  if (!isProblem(error)) return "The server can't be reached. What you entered is kept.";
  if (isProblem(error, "validation-failed")) {
    const named = error.errors.map((e) => fields[(e.pointer ?? e.parameter ?? "").replace(/^.*\//, "")] ?? "");
    const known = [...new Set(named.filter(Boolean))];
    return known.length ? `Check what you entered: ${known.join(", ")}.` : words["validation-failed"];
  }
  if (error.held && isProblem(error, "doctor-overlap"))
    return "The doctor is not free: this time is being kept free for another booking.";
  if (error.held && isProblem(error, "room-overlap"))
    return "The room is being kept free for another booking. Choose another room or time.";
  return typeText((error as Problem).type);
}

/** Returns the text of a type of problem, as a report names it. */
export function typeText(type: string): string {
  const slug = type.slice("/problems/".length);
  // A newer server knows problems that this desk does not.
  return Object.hasOwn(words, slug) ? words[slug as ProblemSlug] : "This was refused. Look again, then retry.";
}

/** A refusal in words where something was to be read, which the user can ask for again. */
export function unreadText(error: Problem | NoAnswer): string {
  return isAway(error) ? "The server can't be reached." : problemText(error);
}

/** A refusal in words where nothing was typed: what is shown stays, and is read again. */
export function errorText(error: Problem | NoAnswer): string {
  return isAway(error) ? "The server can't be reached. What you see may be old; trying again." : problemText(error);
}
