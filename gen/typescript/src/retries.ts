// Sends a request again when that is safe, and only then.
import { pause } from "./pause.js";

/** How often and how patiently a request is sent again. */
export interface RetryPolicy {
  /** Times that one request is sent at most, the first included. 1 never sends again. Default 4. */
  attempts?: number;
  /** Milliseconds until the second attempt, doubled for each further one, with jitter. Default 250. */
  firstDelay?: number;
  /** Longest wait in milliseconds. A longer `Retry-After` is not waited for. Default 20000. */
  longestDelay?: number;
  /** Milliseconds that one attempt may take, its whole answer included. Default 30000. */
  timeout?: number;
}

const KEY = "Idempotency-Key";

/**
 * Wraps fetch so that requests survive what passes by itself:
 *
 * - A POST gets an `Idempotency-Key`, the same in each attempt, so the server
 *   does it once however often it arrives.
 * - POST and GET are sent again after a lost connection and after 429 and 503.
 * - PATCH, PUT and DELETE have no such key. They are sent again only when the
 *   server says that it did nothing: 429, and 503 `unavailable`.
 * - No other refusal is sent again, but for 409 `idempotency-key-in-use` in
 *   answer to a second attempt: there the first one is still under way.
 *
 * Answers are read to the end, so that one which is cut off counts as lost.
 */
export function withRetries(send: typeof fetch, policy: RetryPolicy = {}): typeof fetch {
  const { attempts = 4, firstDelay = 250, longestDelay = 20_000, timeout = 30_000 } = policy;

  return async (input, init) => {
    const request = new Request(input, init);
    const unkeyed = request.method === "POST" && !request.headers.has(KEY);
    if (unkeyed) request.headers.set(KEY, randomKey());
    const repeatable = request.method === "GET" || request.method === "POST";

    for (let attempt = 1; ; attempt++) {
      const last = attempt >= attempts;
      let wait = jitter(firstDelay * 2 ** (attempt - 1), longestDelay);
      try {
        const { response, slug } = await once(send, request, timeout);
        if (last || !mayRepeat(response.status, slug, repeatable, attempt)) return response;
        const asked = retryAfter(response);
        if (asked !== undefined) {
          if (asked > longestDelay) return response;
          // After the moment that was named, not at it with everybody else.
          wait = asked + Math.random() * firstDelay;
        }
      } catch (error) {
        if (last || !repeatable || request.signal.aborted) throw error;
      }
      await pause(wait, request.signal);
    }
  };
}

function mayRepeat(status: number, slug: string | undefined, repeatable: boolean, attempt: number): boolean {
  switch (status) {
    case 429:
      return true;
    case 503:
      return repeatable || slug === "unavailable";
    case 409:
      return attempt > 1 && slug === "idempotency-key-in-use";
    default:
      return false;
  }
}

// once makes one attempt and reads the whole answer.
async function once(send: typeof fetch, request: Request, timeout: number) {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeout)]);
  const answer = await send(new Request(request.clone(), { signal }));
  const body = await answer.arrayBuffer();
  const { status, statusText, headers } = answer;
  const empty = status === 204 || status === 205 || status === 304;
  const response = new Response(empty ? null : body, { status, statusText, headers });
  return { response, slug: status === 503 || status === 409 ? slugIn(body) : undefined };
}

function slugIn(body: ArrayBuffer): string | undefined {
  try {
    const { type } = JSON.parse(new TextDecoder().decode(body)) as { type?: unknown };
    return typeof type === "string" ? type.replace(/^\/problems\//, "") : undefined;
  } catch {
    return undefined; // A proxy in between wrote it.
  }
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3) as milliseconds.
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("Retry-After");
  if (value === null) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/** A wait between half of the given one and all of it, so that many clients do not return as one. */
export function jitter(delay: number, longest: number): number {
  const bounded = Math.min(delay, longest);
  return bounded / 2 + (Math.random() * bounded) / 2;
}

// crypto.randomUUID is missing on pages without TLS, getRandomValues is not.
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
