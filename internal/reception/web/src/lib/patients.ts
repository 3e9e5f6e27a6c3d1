// Patients as the desk finds them.
import { isProblem, type NoAnswer, type Patient, type Problem, type Result } from "mems-client";
import type { Person } from "./person.js";
import { mems } from "./session.js";

type Query = NonNullable<NonNullable<Parameters<typeof mems.listPatients>[0]>["query"]>;

const LIMIT = 12;

/** Finds patients by anything that a reception is told. */
export async function findPatients(text: string, signal: AbortSignal): Promise<Result<{ items: Patient[] }>> {
  const ask = (query: Query) => mems.listPatients({ query: { ...query, limit: LIMIT }, signal });
  if (text.includes("@")) return ask({ email: text });
  if (/^[\d\s+()/-]{3,}$/.test(text)) return ask({ phone: text.replace(/[^\d+]/g, "") });
  return ask({ name: text.replaceAll(",", " ") });
}

/** The record that a chosen patient was merged into meanwhile, if that is why something was refused. */
export async function survivorOf(error: Problem | NoAnswer): Promise<Person | undefined> {
  if (!isProblem(error, "patient-merged")) return undefined;
  return (await mems.getPatient({ path: { id: error.merged_into } })).data;
}
