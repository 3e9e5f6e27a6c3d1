// Patients as the desk finds them.
import { isProblem, type NoAnswer, type Patient, type Problem, type Result } from "mems-client";
import { withIsoDate } from "./birth.js";
import type { Person } from "./person.js";
import { mems } from "./client.js";

const LIMIT = 12;

/**
 * Finds patients by anything that a reception is told: parts of the name in any
 * order, a birth date, digits of the phone or of a number, an e-mail address. A
 * date is read in the viewer's form first; the server reads it in every other.
 */
export async function findPatients(
  text: string,
  today: string,
  signal: AbortSignal,
): Promise<Result<{ items: Patient[] }>> {
  const ask = (q: string) => mems.listPatients({ query: { q, limit: LIMIT }, signal });
  const dated = withIsoDate(text, today);
  let answer = await ask(dated);
  if (answer.data?.items.length === 0 && dated !== text) answer = await ask(text);
  // An erased record cannot be booked.
  return answer.data ? { ...answer, data: { items: answer.data.items.filter((p) => !p.erased_at) } } : answer;
}

/** The record that a chosen patient was merged into meanwhile, if that is why something was refused. */
export async function survivorOf(error: Problem | NoAnswer): Promise<Person | undefined> {
  if (!isProblem(error, "patient-merged")) return undefined;
  return (await mems.getPatient({ path: { id: error.merged_into } })).data;
}
