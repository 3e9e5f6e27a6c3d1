// The rules that may be broken on purpose, with a reason.
import { isProblem, type NoAnswer, type Override, type Problem } from "mems-client";
import { directory } from "./directory.svelte.js";
import { session } from "./session.svelte.js";

export type Rule = Override["rules"][number];

const rules: readonly Rule[] = ["outside-working-hours", "doctor-overlap", "patient-overlap"];

/** The rule that refused a booking with a doctor, if this caller may break it there. */
export function breakable(problem: Problem | NoAnswer | undefined, doctor: number): Rule | undefined {
  if (!session.may("appointments:override") || !isProblem(problem)) return undefined;
  const rule = rules.find((r) => problem.type === `/problems/${r}`);
  // A doctor whose cap is zero cannot be overbooked.
  if (rule === "doctor-overlap" && !directory.doctors.find((d) => d.id === doctor)?.overbook_cap) return undefined;
  return rule;
}
