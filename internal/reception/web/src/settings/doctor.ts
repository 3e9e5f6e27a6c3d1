// A doctor's record as the settings change it, with a way back.
import { type Doctor, type DoctorPatch, etag, type NoAnswer, type Problem } from "mems-client";
import { ifMatch, mems } from "../lib/client.js";
import { toasts } from "../lib/toasts.svelte.js";
import { appointments } from "../lib/words.js";
import { showChange } from "./directory.svelte.js";

/** A record as it was read, with its version for If-Match. */
export interface Opened {
  doctor: Doctor;
  version: string;
}

/** Saves what differs, unless the record has changed since it had this version; returns the refusal. */
export async function patchDoctor(
  was: Doctor,
  version: string,
  entered: DoctorPatch,
): Promise<Problem | NoAnswer | undefined> {
  const names = (Object.keys(entered) as (keyof DoctorPatch)[]).filter((n) => entered[n] !== was[n]);
  if (!names.length) return undefined;
  const of = (from: DoctorPatch): DoctorPatch => Object.fromEntries(names.map((n) => [n, from[n]]));
  const answer = await mems.updateDoctor({ path: { id: was.id }, body: of(entered), ...ifMatch(version) });
  if (answer.error) return answer.error;
  const left = answer.data.affected_appointments.length;
  toasts.say(`${said(was, entered)}${left ? ` ${appointments(left)} to be moved or cancelled.` : ""}`, async () => {
    const undone = await mems.updateDoctor({
      path: { id: was.id },
      body: of(was),
      ...ifMatch(etag(answer)),
    });
    if (undone.error) toasts.showError(undone.error);
    else toasts.say(`${was.full_name} is as before.`);
    await showChange();
  });
  await showChange();
  return undefined;
}

function said(was: Doctor, entered: DoctorPatch): string {
  const name = entered.full_name ?? was.full_name;
  if (entered.is_active === false) return `${name} takes no new bookings.`;
  return entered.is_active ? `${name} takes bookings again.` : `${name} is saved.`;
}
