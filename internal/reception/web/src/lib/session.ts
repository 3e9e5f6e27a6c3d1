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

/** The one client of the desk. */
export const mems = createMems({ baseUrl: "", apiKey, actor: "reception desk" });
