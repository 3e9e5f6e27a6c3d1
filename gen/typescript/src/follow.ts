// Live changes: a stream of server-sent events that survives lost connections.
import type { Change, ChangeObject } from "./generated/types.gen.js";
import { isProblem, NoAnswer, ProblemError } from "./errors.js";
import { EventReader, type RawEvent } from "./events.js";
import type { Mems } from "./mems.js";
import { pause } from "./pause.js";
import { jitter } from "./retries.js";

/** How to follow a stream. */
export interface FollowOptions {
  /** Parameters of the address. */
  query?: Record<string, string | number | boolean | undefined>;
  /** Ends it: the loop over the events stops, without an exception. */
  signal?: AbortSignal;
  /** Where to go on: the `id` of the last event that was dealt with. */
  after?: string;
  /** Told when the connection is made and when it is lost, for a sign on the screen. */
  onState?: (state: "live" | "lost", cause?: unknown) => void;
  /** Milliseconds without a sign of life until the connection counts as lost. Default 45000. */
  silence?: number;
  /** Wait in milliseconds before the first new connection, doubled for each further one up to 30 s. Default 500. */
  firstDelay?: number;
}

/** One event with its data read. */
export interface StreamEvent<T> {
  /** The place in the stream, to go on `after`. */
  id: string | undefined;
  /** The kind of the event, such as `change`. */
  event: string;
  data: T;
}

const LONGEST_DELAY = 30_000;

/**
 * The events of a stream, for ever: after a lost connection it connects again
 * and goes on after the last event (`Last-Event-ID`), so that none is missed.
 * A refusal, such as 401 or 403, is thrown as ProblemError.
 *
 * For the clinic's changes use {@link followChanges}; this is for any other stream.
 */
export async function* follow<T>(
  mems: Pick<Mems, "client" | "fetch">,
  path: string,
  options: FollowOptions = {},
): AsyncGenerator<StreamEvent<T>, void, undefined> {
  const { signal, onState, silence = 45_000 } = options;
  let { after, firstDelay = 500 } = options;
  let failures = 0;

  while (!signal?.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort(signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
    let watch = setTimeout(() => attempt.abort(new Error("The stream fell silent.")), silence);
    const alive = () => {
      failures = 0;
      clearTimeout(watch);
      watch = setTimeout(() => attempt.abort(new Error("The stream fell silent.")), silence);
    };

    let cause: unknown;
    try {
      const response = await connect(mems, path, options, after, attempt.signal);
      if (response.status === 204) return; // The server says that there is nothing to follow any more.
      onState?.("live");
      for await (const event of events(response, alive, (delay) => (firstDelay = delay))) {
        clearTimeout(watch); // The caller may take its time.
        yield { id: event.id, event: event.event, data: JSON.parse(event.data) as T };
        // Only now has the caller dealt with it.
        if (event.id !== undefined) after = event.id || undefined;
        alive();
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (error instanceof ProblemError || error instanceof SyntaxError) throw error;
      cause = error;
    } finally {
      clearTimeout(watch);
      signal?.removeEventListener("abort", stop);
      attempt.abort();
    }

    onState?.("lost", cause);
    try {
      await pause(jitter(firstDelay * 2 ** failures++, LONGEST_DELAY), signal);
    } catch {
      return; // Aborted while it waited.
    }
  }
}

/** How to follow the clinic's changes. */
export interface FollowChangesOptions extends Omit<FollowOptions, "query"> {
  /** Only changes of these kinds of record; without it, of every kind that the caller may read. */
  objects?: readonly ChangeObject[];
}

/**
 * What changes in the clinic, as it is committed, each change once and in
 * order. It begins now, or after the `cursor` of a change that is given as
 * `after`. Load what you show when `onState` says "live" for the first time:
 * whatever happens from then on comes here.
 *
 *     for await (const change of followChanges(mems, { objects: ["appointment"] })) { ... }
 */
export async function* followChanges(
  mems: Pick<Mems, "client" | "fetch">,
  options: FollowChangesOptions = {},
): AsyncGenerator<Change, void, undefined> {
  const { objects, ...rest } = options;
  const query = objects === undefined ? {} : { objects: objects.join(",") };
  for await (const { event, data } of follow<Change>(mems, "/stream", { ...rest, query })) {
    if (event === "change") yield data;
  }
}

async function connect(
  { client, fetch }: Pick<Mems, "client" | "fetch">,
  path: string,
  { query = {} }: FollowOptions,
  after: string | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (after !== undefined) headers["Last-Event-ID"] = after;
  const { response, error } = await client.get({
    url: path,
    query,
    headers,
    signal,
    fetch, // Without the retries below: they would read the answer to its end.
    cache: "no-store",
    parseAs: "stream",
    security: [
      { name: "X-API-Key", type: "apiKey" },
      { scheme: "bearer", type: "http" },
    ],
  });
  if (response?.ok) return response;
  // What passes by itself is tried again; any other refusal stays one.
  if (isProblem(error) && error.status < 500 && error.status !== 429) throw new ProblemError(error);
  throw new NoAnswer(error, response);
}

async function* events(
  response: Response,
  alive: () => void,
  retry: (milliseconds: number) => void,
): AsyncGenerator<RawEvent, void, undefined> {
  if (!response.body) return;
  const waiting: RawEvent[] = [];
  const reader = new EventReader({ event: (event) => waiting.push(event), retry });
  const body = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await body.read();
    if (done) return;
    alive();
    reader.read(value);
    yield* waiting.splice(0);
  }
}
