// Who sits at the desk: a key that is kept for this window only.
import { createMems } from "mems-client";

const KEY = "mems-key";

export function apiKey(): string | undefined {
  return sessionStorage.getItem(KEY) ?? undefined;
}

export function setKey(key: string | undefined): void {
  if (key === undefined) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/** What the answers of the server say about all requests. */
export const server = {
  /** Nothing is to be read by itself before this moment: Retry-After of a 429 or 503. */
  busyUntil: 0,
  /** Called when the key that is in use is refused. */
  onUnauthenticated: () => {},
};

async function send(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  if (new URL(request.url).pathname === "/stream") await until(server.busyUntil, request.signal);
  const answer = await fetch(request);
  if (answer.status === 429 || answer.status === 503) {
    const wait = retryAfter(answer.headers.get("Retry-After"));
    server.busyUntil = Math.max(server.busyUntil, Date.now() + wait);
  }
  // A late answer to a key that has been replaced says nothing about the new one.
  if (answer.status === 401 && request.headers.get("X-API-Key") === (apiKey() ?? null)) server.onUnauthenticated();
  return answer;
}

/** Retry-After in milliseconds (RFC 9110, section 10.2.3); 0 without one. */
export function retryAfter(value: string | null, now = Date.now()): number {
  if (value === null) return 0;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(wait) ? 0 : Math.max(0, wait);
}

async function until(moment: number, signal: AbortSignal): Promise<void> {
  while (Date.now() < moment && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(1000, moment - Date.now())));
  }
}

/** Makes a change conditional on the version that was read, where one is known. */
export function ifMatch(etag: string | null | undefined): { headers?: { "If-Match": string } } {
  return etag ? { headers: { "If-Match": etag } } : {};
}

/** The one client of the desk. */
export const mems = createMems({ baseUrl: "", apiKey, actor: "reception desk", fetch: send });
