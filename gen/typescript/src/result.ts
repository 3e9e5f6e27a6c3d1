// What every call returns.
import { type NoAnswer, type Problem, toError } from "./errors.js";

/** Either `data` or `error`: check one, and TypeScript knows the other. */
export type Result<T> = Success<T> | Failure;

/** The server did it. */
export interface Success<T> {
  data: T;
  error: undefined;
  response: Response;
}

/** The server refused it, or no answer came; then there is no `response`. */
export interface Failure {
  data: undefined;
  error: Problem | NoAnswer;
  response: Response | undefined;
}

/** The data of a call that must succeed; throws ProblemError or NoAnswer when it does not. */
export async function unwrap<T>(call: Result<T> | Promise<Result<T>>): Promise<T> {
  const result = await call;
  if (result.error !== undefined) throw toError(result.error);
  return result.data;
}

/** The version of the record that was answered, to send back as `If-Match`. */
export function etag(result: Result<unknown>): string | undefined {
  return result.response?.headers.get("ETag") ?? undefined;
}
