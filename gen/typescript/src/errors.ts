// What can go wrong: the server returns a problem document, or no usable
// answer comes at all.
import type { operationProblems } from "./generated/problems.gen.js";
import type {
  Appointment,
  AppointmentStatus,
  Candidate,
  PlanItem,
  Problem as WrittenProblem,
  ProblemSlug,
  SeriesDate,
  TicketStatus,
  Violation,
} from "./generated/types.gen.js";

/** The members that a problem of one type always has, beyond those of every problem. */
interface Members {
  "validation-failed": { errors: Violation[] };
  "possible-duplicate": { candidates: Candidate[] };
  "patient-merged": { merged_into: number };
  "merge-conflict": { appointments: Appointment[] };
  "invalid-transition": { current_status: AppointmentStatus };
  "too-early": { earliest: string };
  "invalid-ticket-transition": { current_ticket_status: TicketStatus };
  "series-conflict": { dates: SeriesDate[] };
  "plan-not-applied": { report: PlanItem[] };
}

/** A problem of the given type; where several are given, a union to switch over. */
export type ProblemOf<S extends ProblemSlug> = S extends ProblemSlug
  ? Omit<WrittenProblem, "type"> & { type: `/problems/${S}` } & (S extends keyof Members ? Members[S] : unknown)
  : never;

/**
 * A problem document (RFC 9457), told apart by `type`. A newer server may
 * answer with a type that is not listed here: keep a branch for the rest.
 */
export type Problem = ProblemOf<ProblemSlug>;

/** A problem that an operation can return, by its operationId: `OperationProblem<"bookAppointment">`. */
export type OperationProblem<O extends keyof typeof operationProblems> = ProblemOf<
  (typeof operationProblems)[O][number]
>;

/** Why there is no usable answer: no connection, cut off, out of time, aborted, or not of MEMS. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";

  /** The answer, when one came that is not of MEMS, as from a proxy in between. */
  readonly response: Response | undefined;

  constructor(cause: unknown, response?: Response) {
    super(
      response
        ? `The answer, with status ${response.status}, is not one of MEMS. ` +
            "Is there a proxy in between, or is baseUrl wrong?"
        : `No answer: ${cause instanceof Error ? explain(cause) : String(cause)}`,
      { cause },
    );
    this.response = response;
  }
}

/** A problem document as an exception, thrown by {@link unwrap} and by iterators. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  /** What the server said. */
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

/**
 * Whether the error is a problem document, of one of the given types when any
 * are given. Takes what a call answers as `error`, and what is thrown as well.
 */
export function isProblem(error: unknown): error is Problem;
export function isProblem<S extends ProblemSlug>(error: unknown, ...slugs: S[]): error is ProblemOf<S>;
export function isProblem(error: unknown, ...slugs: ProblemSlug[]): boolean {
  if (typeof error !== "object" || error === null || error instanceof Error) return false;
  const { type, status } = error as { type?: unknown; status?: unknown };
  if (typeof type !== "string" || !type.startsWith("/problems/") || typeof status !== "number") return false;
  return slugs.length === 0 || slugs.some((slug) => type === `/problems/${slug}`);
}

/** The problem document in whatever was caught; undefined when there is none. */
export function problemOf(caught: unknown): Problem | undefined {
  if (caught instanceof ProblemError) return caught.problem;
  return isProblem(caught) ? caught : undefined;
}

/** A problem as an exception; a missing answer is one already. */
export function toError(error: Problem | NoAnswer): ProblemError | NoAnswer {
  return error instanceof NoAnswer ? error : new ProblemError(error);
}

// "fetch failed" hides the reason one level down.
function explain(error: Error): string {
  const inner = error.cause;
  return inner instanceof Error && inner.message ? `${error.message}: ${inner.message}` : error.message;
}
