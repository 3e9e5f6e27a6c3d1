// What the desk's permissions are for, in words; the names are those of the contract.
import type { Permission } from "mems-client";
import { session } from "./session.svelte.js";

const words: Partial<Record<Permission, string>> = {
  "directory:read": "see doctors, rooms and appointment types",
  "calendar:read": "see working hours and absences",
  "appointments:read": "see appointments",
  "availability:read": "find free times",
  "queue:read": "see the queue",
};

export function permissionWords(p: Permission): string {
  return words[p] ?? p;
}

/** Reports whether the settings have anything that this caller may change. */
export function maySetUp(): boolean {
  return session.may("directory:write") || session.may("calendar:write");
}
