// The way in: one configured client, nothing global.
import { isProblem, NoAnswer } from "./errors.js";
import { createClient, type Client } from "./generated/client/index.js";
import * as operations from "./generated/sdk.gen.js";
import type { Result } from "./result.js";
import { type RetryPolicy, withRetries } from "./retries.js";

/** A secret, or how to get one that is fresh: asked before every request. */
export type Secret = string | (() => string | undefined | Promise<string | undefined>);

/** Where the server is and who is calling. */
export interface MemsOptions {
  /** The installation, such as `https://clinic.example.org`. On a page that it serves itself, `""`. */
  baseUrl: string;
  /** A person's access token, sent as `Authorization: Bearer`. */
  token?: Secret;
  /** A program's key, sent as `X-API-Key`. */
  apiKey?: Secret;
  /** Who does it, for the history. Only an installation without authentication takes it as stated. */
  actor?: string;
  /** Another fetch, for tests or special transports. */
  fetch?: typeof fetch;
  /** When and how often requests are sent again. */
  retries?: RetryPolicy;
}

// The stream of changes answers for ever; follow() reads it.
const STREAM = "streamChanges";
type Operations = Omit<typeof operations, typeof STREAM>;
type Asked<F> = F extends (options: infer O) => unknown ? Omit<O, "client" | "throwOnError" | "responseStyle"> : never;
type Answered<F extends (options: never) => unknown> = Extract<
  Awaited<ReturnType<F>>,
  { data: unknown; error: undefined }
>["data"];

/** One operation of the contract. The options are needed only where the contract needs something. */
type Operation<F extends (options: never) => unknown> =
  object extends Asked<F>
    ? (options?: Asked<F>) => Promise<Result<Answered<F>>>
    : (options: Asked<F>) => Promise<Result<Answered<F>>>;

/** Every operation of the contract, by its operationId, and what {@link follow} needs. */
export type Mems = { readonly [Name in keyof Operations]: Operation<Operations[Name]> } & {
  /** The generated client below, for what has no operation. Its fetch retries as every call does. */
  readonly client: Client;
  /** The fetch below the retries. */
  readonly fetch: typeof fetch;
};

/** A client of one installation. Its functions need no `this` and can be passed around. */
export function createMems(options: MemsOptions): Mems {
  const { baseUrl, token, apiKey, actor } = options;
  // Bound, for a browser's fetch refuses to run as a method of anything else.
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  const client = createClient({
    baseUrl: absolute(baseUrl),
    fetch: withRetries(send, options.retries),
    auth: ({ scheme }) => read(scheme === "bearer" ? token : apiKey),
    headers: actor === undefined ? {} : { "MEMS-Actor": actor },
  });
  const bound = Object.entries(operations)
    .filter(([name]) => name !== STREAM)
    .map(([name, operation]) => [name, (asked?: object) => answer(operation as Call, { ...asked, client })]);
  return { ...(Object.fromEntries(bound) as Mems), client, fetch: send };
}

type Call = (options: { client: Client }) => Promise<{ data?: unknown; error?: unknown; response?: Response }>;

async function answer(call: Call, options: { client: Client }): Promise<Result<unknown>> {
  let response: Response | undefined;
  try {
    const { data, error, response: got } = await call(options);
    response = got;
    if (error === undefined && got)
      return { data: got.status === 204 ? undefined : data, error: undefined, response: got };
    return { data: undefined, error: isProblem(error) ? error : new NoAnswer(error, got), response };
  } catch (cause) {
    return { data: undefined, error: new NoAnswer(cause, response), response };
  }
}

function read(secret: Secret | undefined) {
  return typeof secret === "function" ? secret() : secret;
}

// A Request takes no relative address outside of a page.
function absolute(baseUrl: string): string {
  const page = (globalThis as { location?: { origin: string } }).location?.origin;
  return (page === undefined ? new URL(baseUrl) : new URL(baseUrl, page)).href.replace(/\/$/, "");
}
