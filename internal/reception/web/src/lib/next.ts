// Free times: how they are shown, and the one that a booking begins with when none was chosen.
import type { NoAnswer, Problem, Slot } from "mems-client";
import { directory } from "./directory.svelte.js";
import { availabilityOf, type Draft } from "./draft.js";
import { mems } from "./client.js";
import { dateAt } from "./time.js";

/** Free times by the date on which they begin. */
export function slotsByDay(slots: Slot[], zone: string): Map<string, Slot[]> {
  const days = new Map<string, Slot[]>();
  for (const s of slots) {
    const date = dateAt(s.start_time, zone);
    days.set(date, [...(days.get(date) ?? []), s]);
  }
  return days;
}

type Wanted = Pick<Draft, "patient" | "type" | "minutes" | "doctor">;

/** The next free time of the doctor or else, unless only they will do, the first one of any doctor. */
export async function nextFree(wanted: Wanted, strictly = false): Promise<{ slot?: Slot; error?: Problem | NoAnswer }> {
  const only = directory.doctors.length === 1 ? directory.doctors[0]?.id : undefined;
  for (const id of strictly ? [wanted.doctor] : new Set([wanted.doctor || only, only])) {
    const query = { ...(id ? { doctor_id: [id] } : {}), ...availabilityOf(wanted) };
    const answer = await mems.listNextAvailable({ query });
    if (answer.error) return { error: answer.error };
    const slot = answer.data.items.find((n) => n.slot && directory.doctors.some((d) => d.id === n.doctor_id))?.slot;
    if (slot) return { slot };
  }
  return {};
}
