// A series that is being booked: how often, what would become of each date, and what became of it.
import type { NoAnswer, Problem, SeriesBooked, SeriesCreate, SeriesDate } from "mems-client";
import { mems } from "./client.js";
import { bookingOf, type Draft } from "./draft.js";
import type { Person } from "./person.js";
import { MAX_DATES, MIN_DATES, type Repeat, ruleOf } from "./recurrence.js";
import { session } from "./session.svelte.js";
import { dateAt } from "./time.js";

/** What is chosen within this many milliseconds is checked once. */
const SETTLE = 300;

export class SeriesDraft {
  repeat = $state<Repeat>("");
  times = $state(6);
  /** What would become of each date; undefined until it is known of what is chosen now. */
  dates = $state.raw<SeriesDate[]>();
  /** Why it is not known. */
  error = $state.raw<Problem | NoAnswer>();
  /** What became of it. */
  booked = $state.raw<SeriesBooked>();
  valid = $derived(Number.isInteger(this.times) && this.times >= MIN_DATES && this.times <= MAX_DATES);
  free = $derived((this.dates ?? []).filter((d) => d.outcome === "free").length);

  private checked = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** The request for all dates of a draft; "" while it does not repeat. */
  requestOf(d: Draft & { patient: Person }): SeriesCreate | undefined {
    if (!this.repeat || !this.valid) return undefined;
    return { ...bookingOf(d), rule: ruleOf(this.repeat, this.times, dateAt(d.start, session.zone)) };
  }

  /** Asks what would become of each date, soon; the answer to an earlier request is not shown. */
  check(request: SeriesCreate | undefined, again = false): void {
    const wanted = request ? JSON.stringify(request) : "";
    if (wanted === this.checked && !again) return;
    this.checked = wanted;
    clearTimeout(this.timer);
    this.dates = this.error = undefined;
    if (request) this.timer = setTimeout(() => void this.ask(request, wanted), SETTLE);
  }

  stop(): void {
    this.checked = "";
    clearTimeout(this.timer);
  }

  private async ask(request: SeriesCreate, wanted: string): Promise<void> {
    const answer = await mems.createSeries({ body: { ...request, dry_run: true } });
    if (wanted !== this.checked) return;
    if (answer.error) this.error = answer.error;
    else this.dates = answer.data.dates;
  }

  /**
   * Books the dates: all of them if all were free, otherwise those that are. When a date was taken meanwhile, nothing
   * is booked, and the dates are checked again.
   */
  async book(request: SeriesCreate, key: string): Promise<Problem | NoAnswer | undefined> {
    const on_conflict = this.free === this.dates?.length ? "fail" : "skip";
    const answer = await mems.createSeries({
      headers: { "Idempotency-Key": key },
      body: { ...request, on_conflict },
    });
    if (answer.error) return answer.error;
    if ("series" in answer.data) {
      // What is free instead is looked for in a preview only.
      const shown = this.dates ?? [];
      const dates = answer.data.dates.map((d) => {
        if (d.outcome !== "refused" || d.alternatives) return d;
        return { ...d, alternatives: shown.find((other) => other.start_time === d.start_time)?.alternatives ?? [] };
      });
      this.booked = { ...answer.data, dates };
    }
    return undefined;
  }
}
