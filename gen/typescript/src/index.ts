// The TypeScript client of MEMS. The README beside this package has examples.
export { createMems, type Mems, type MemsOptions, type Secret } from "./mems.js";
export { etag, type Failure, type Result, type Success, unwrap } from "./result.js";
export {
  isProblem,
  NoAnswer,
  type OperationProblem,
  type Problem,
  ProblemError,
  type ProblemOf,
  problemOf,
} from "./errors.js";
export { type RetryPolicy } from "./retries.js";
export { pages } from "./pages.js";
export type * from "./generated/types.gen.js";
/** Lengths and ranges of what requests send, by schema or operation: `bounds.patientCreate.first_name.maxLength`. */
export * as bounds from "./generated/bounds.gen.js";
/** The problem types that each operation can return, by operationId: `operationProblems.bookAppointment`. */
export { operationProblems } from "./generated/problems.gen.js";
export { instant, instantAt, toDate, type WallTime, wallTime } from "./times.js";
export { follow, followChanges, type FollowChangesOptions, type FollowOptions, type StreamEvent } from "./follow.js";
