// The directory as the settings read it: when a page is opened, and after each change.
import { type NoAnswer, type Problem, problemOf } from "mems-client";
import { calendar } from "../lib/calendar.svelte.js";

/** A reading of doctors, rooms and types. What is known is shown meanwhile. */
export class DirectoryReading {
  busy = $state(true);
  failed = $state.raw<Problem | NoAnswer>();

  async read(): Promise<void> {
    this.busy = true;
    this.failed = undefined;
    try {
      await calendar.readDirectory();
    } catch (error) {
      this.failed = problemOf(error) ?? (error as NoAnswer);
    }
    this.busy = false;
  }
}

/** Shows a change here at once, also where changes are not announced. */
export async function showChange(): Promise<void> {
  await calendar.readDirectory().catch(() => undefined);
  calendar.reread();
}
