// How changes made elsewhere arrive: announced by the server, or read every so often.
import { type Change, type ChangeObject, follow } from "mems-client";
import { calendar } from "./calendar.svelte.js";
import { mems } from "./client.js";
import { record } from "./record.svelte.js";
import { session } from "./session.svelte.js";

/** polled: this caller may not follow changes. */
export type Line = "connecting" | "live" | "lost" | "polled";

/** Milliseconds from one reading to the next while the line is not live. */
const EVERY = { connecting: 5_000, lost: 5_000, polled: 30_000, live: 0 } satisfies Record<Line, number>;

const directory: readonly ChangeObject[] = ["doctor", "room", "appointment_type"];
/** What is followed: all that a view and a patient's record show. */
const OBJECTS: readonly ChangeObject[] = [
  "appointment",
  "patient",
  "waitlist_entry",
  "ticket",
  "working_hours",
  "time_off",
  "closure",
  ...directory,
];

class Live {
  line = $state<Line>("connecting");
  private ending: AbortController | undefined;

  /** Follows the clinic's changes; while the line is down, the calendar reads by itself. */
  async watch(): Promise<void> {
    this.stop();
    const ending = new AbortController();
    this.ending = ending;
    const clock = setInterval(() => (session.now = Date.now()), 5000);
    ending.signal.addEventListener("abort", () => clearInterval(clock));
    this.become(session.may("changes:read") ? "connecting" : "polled");
    if (this.line === "polled") return;
    const onState = (state: "live" | "lost") => {
      this.become(state);
      if (state === "live") {
        calendar.reread(); // what changed while the connection was down was not reported
        record.reread();
      } else calendar.readIn(EVERY.lost);
    };
    const query = { include: "record,patient", objects: OBJECTS.join(",") };
    const options = { signal: ending.signal, onState, firstDelay: 300, query };
    try {
      for await (const { event, data } of follow<Change>(mems, "/stream", options)) {
        if (event === "change") this.onChange(data);
      }
    } catch {
      // A refusal, such as of a permission that was taken away.
    }
    if (ending.signal.aborted) return;
    this.become("polled");
    if (!calendar.failing) calendar.readIn(EVERY.polled);
  }

  stop(): void {
    this.ending?.abort();
  }

  private become(line: Line): void {
    this.line = line;
    calendar.interval = EVERY[line];
  }

  // What the directory holds is read again; it rarely changes.
  private onChange(c: Change): void {
    record.apply(c);
    if (c.object === "waitlist_entry") return; // no view shows it
    if (!directory.includes(c.object)) {
      calendar.apply(c);
      return;
    }
    void calendar.readDirectory().then(
      () => calendar.reread(),
      () => calendar.reread(),
    );
  }
}

export const live = new Live();
