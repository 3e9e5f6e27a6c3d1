// What is done to visits, with what to say about it and how to take it back.
import {
  type Appointment,
  type AppointmentCancel,
  type AppointmentPatch,
  type CancellationReason,
  isProblem,
  type NoAnswer,
  type Override,
  type Patient,
  type PatientPatch,
  type Problem,
  type Result,
  type Series,
  type WaitlistEntry,
} from "mems-client";
import { checkInClosed } from "./checkin.js";
import { calendar } from "./calendar.svelte.js";
import { record } from "./record.svelte.js";
import { session } from "./session.svelte.js";
import { toasts } from "./toasts.svelte.js";
import { ui } from "./ui.svelte.js";
import { type Move, ANY_ROOM, rescheduleOf } from "./draft.js";
import { breakable } from "./override.js";
import { ifMatch, mems } from "./client.js";
import { spokenName } from "./person.js";
import { clock, shortDateAt } from "./time.js";
import { appointments } from "./words.js";

type Step = "confirm" | "check-in" | "start" | "complete" | "no-show" | "leave" | "undo";

const steps: Record<Step, { call: (id: number) => Promise<Result<Appointment>>; done: string }> = {
  confirm: { call: (id) => mems.confirmAppointment({ path: { id } }), done: "is confirmed" },
  "check-in": { call: (id) => mems.checkInAppointment({ path: { id } }), done: "is checked in" },
  start: { call: (id) => mems.startAppointment({ path: { id } }), done: "is with the doctor" },
  complete: { call: (id) => mems.completeAppointment({ path: { id } }), done: "is finished" },
  "no-show": { call: (id) => mems.noShowAppointment({ path: { id } }), done: "is marked as a no-show" },
  leave: { call: (id) => mems.leaveAppointment({ path: { id } }), done: "has left" },
  undo: { call: (id) => mems.undoAppointment({ path: { id } }), done: "is as it was before" },
};

export type { Step };

function who(a: Appointment): string {
  return a.patient ? `${a.patient.first_name} ${a.patient.last_name}` : "The visit";
}

/** Undoes what an answer was to, unless the appointment has been changed since. */
async function undo(done: { data: Appointment; response: Response }, was: Appointment, said = "undone"): Promise<void> {
  const answer = await mems.undoAppointment({
    path: { id: done.data.id },
    ...ifMatch(done.response.headers.get("ETag")),
  });
  if (isProblem(answer.error, "precondition-failed"))
    toasts.warn(`${who(was)} was changed since then; nothing was undone.`);
  else if (answer.error) toasts.showError(answer.error);
  else toasts.say(`${who(was)}: ${said}.`);
  calendar.refresh();
}

// Appointments whose step has been sent and not been answered.
const underway = new Set<number>();

/** Changes an appointment's status by one step; returns whether that succeeded. */
export async function step(a: Appointment, s: Step): Promise<boolean> {
  const closed = s === "check-in" ? checkInClosed(a, Date.now(), session.zone) : "";
  if (closed) {
    toasts.warn(`${who(a)} cannot be checked in. ${closed}`);
    return false;
  }
  if (underway.has(a.id)) return false;
  underway.add(a.id);
  const answer = await steps[s].call(a.id);
  underway.delete(a.id);
  if (answer.error) toasts.showError(answer.error);
  else toasts.say(`${who(a)} ${steps[s].done}.`, s === "undo" ? undefined : () => undo(answer, a));
  calendar.refresh();
  return !answer.error;
}

export async function checkIn(a: Appointment): Promise<void> {
  await step(a, "check-in");
}

export async function cancel(a: Appointment, body: AppointmentCancel): Promise<Problem | NoAnswer | undefined> {
  const answer = await mems.cancelAppointment({ path: { id: a.id }, body });
  if (answer.error) return answer.error;
  toasts.say(`${who(a)} at ${clock(a.start_time, session.zone)} is cancelled.`, () => undo(answer, a));
  calendar.refresh();
  return undefined;
}

/** Saves the reason and the note, unless the appointment has changed since it had this ETag. */
export async function saveTexts(
  a: Appointment,
  body: AppointmentPatch,
  etag: string,
): Promise<Problem | NoAnswer | undefined> {
  const answer = await mems.updateAppointment({ path: { id: a.id }, body, headers: { "If-Match": etag } });
  if (answer.error) return answer.error;
  toasts.say(`${who(a)}: reason and note are saved.`, async () => {
    const back = { reason: a.reason ?? null, note: a.note ?? null };
    const undone = await mems.updateAppointment({ path: { id: a.id }, body: back });
    if (undone.error) toasts.showError(undone.error);
    calendar.refresh();
  });
  calendar.refresh();
  return undefined;
}

/** Reschedules. What is in the way is shown with what is free instead; another refusal is for the caller to show. */
export async function reschedule(
  a: Appointment,
  to: Move,
  override?: Override,
): Promise<Problem | NoAnswer | undefined> {
  const answer = await move(a, to, override);
  if (answer.error) {
    const error = answer.error;
    if (isProblem(error) && (error.alternatives?.length || breakable(error, to.doctor)))
      ui.refused = { visit: a, problem: error, to, broken: override?.rules ?? [] };
    else if (ui.open !== a.id) toasts.showError(error); // its card says so itself
    return error;
  }
  // By the server, which knows status, room and confirmation of before.
  const back = `back at ${shortDateAt(a.start_time, session.zone)}, ${clock(a.start_time, session.zone)}`;
  toasts.say(`${who(a)} is moved to ${shortDateAt(to.start, session.zone)}, ${clock(to.start, session.zone)}.`, () =>
    undo(answer, a, back),
  );
  return undefined;
}

// A room that the user did not choose is no reason to refuse a free time: another one will do.
async function move(a: Appointment, to: Move, override?: Override): Promise<Result<Appointment>> {
  const send = (where: Move) =>
    mems.rescheduleAppointment({ path: { id: a.id }, body: rescheduleOf(a, where, override) });
  let answer = await send(to);
  if (
    to.room === undefined &&
    a.room_id !== null &&
    isProblem(answer.error, "room-overlap", "room-inactive", "room-not-suitable")
  ) {
    answer = await send({ ...to, room: ANY_ROOM });
  }
  calendar.refresh();
  return answer;
}

/** Shows what was done with a patient's record here and at once; announced changes follow. */
function refresh(): void {
  record.reread();
  calendar.refresh();
}

/** Saves what was changed of a patient, unless the record has changed since it had this ETag. */
export async function savePatient(
  before: Patient,
  body: PatientPatch,
  version: string,
): Promise<Problem | NoAnswer | undefined> {
  const path = { id: before.id };
  const answer = await mems.updatePatient({ path, body, headers: { "If-Match": version } });
  if (answer.error) return answer.error;
  const changed = Object.keys(body) as (keyof PatientPatch)[];
  toasts.say(`${spokenName(answer.data)} is saved.`, async () => {
    const back = Object.fromEntries(changed.map((name) => [name, before[name]])) as PatientPatch;
    const undone = await mems.updatePatient({ path, body: back });
    if (undone.error) toasts.showError(undone.error);
    refresh();
  });
  refresh();
  return undefined;
}

/** Cancels what is left of a series; n is how many the user was shown. */
export async function cancelSeries(
  s: Series,
  n: number,
  reason: CancellationReason,
): Promise<Problem | NoAnswer | undefined> {
  const answer = await mems.cancelSeries({ path: { id: s.id }, body: { reason } });
  if (answer.error) return answer.error;
  toasts.say(`${appointments(n)} of the series cancelled.`);
  refresh();
  return undefined;
}

export async function acceptOffer(w: WaitlistEntry): Promise<void> {
  const answer = await mems.acceptOffer({ path: { id: w.id } });
  if (answer.error) toasts.showError(answer.error);
  else if (w.offer) {
    const { start_time } = w.offer;
    toasts.say(`Booked: ${shortDateAt(start_time, session.zone)}, ${clock(start_time, session.zone)}.`);
  }
  refresh();
}

export async function declineOffer(w: WaitlistEntry): Promise<void> {
  const answer = await mems.declineOffer({ path: { id: w.id } });
  if (answer.error) toasts.showError(answer.error);
  else toasts.say("The offer is declined; the patient stays on the waitlist.");
  refresh();
}

export async function withdraw(w: WaitlistEntry): Promise<void> {
  const answer = await mems.withdrawWaitlistEntry({ path: { id: w.id } });
  if (answer.error) toasts.showError(answer.error);
  else toasts.say("Removed from the waitlist.");
  refresh();
}
