// The time that a booking begins with when nobody has chosen one.
import type { NoAnswer, Problem, Slot } from "mems-client";
import { desk } from "./desk.svelte.js";
import { availabilityOf, type Draft } from "./draft.js";
import { mems } from "./session.js";

type Wanted = Pick<Draft, "patient" | "type" | "minutes" | "doctor">;

/** The next free time of the doctor or else, unless only they will do, the first one of any doctor. */
export async function nextFree(wanted: Wanted, strictly = false): Promise<{ slot?: Slot; error?: Problem | NoAnswer }> {
  const only = desk.doctors.length === 1 ? desk.doctors[0]?.id : undefined;
  for (const id of strictly ? [wanted.doctor] : new Set([wanted.doctor || only, only])) {
    const query = { ...(id ? { doctor_id: [id] } : {}), ...availabilityOf(wanted) };
    const answer = await mems.listNextAvailable({ query });
    if (answer.error) return { error: answer.error };
    const slot = answer.data.items.find((n) => n.slot && desk.doctors.some((d) => d.id === n.doctor_id))?.slot;
    if (slot) return { slot };
  }
  return {};
}
