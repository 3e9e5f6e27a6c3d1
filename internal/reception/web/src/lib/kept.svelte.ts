// A time that is kept free while the patient thinks: a hold, which ends by itself.
import type { Hold, HoldCreated, NoAnswer, Problem } from "mems-client";
import { mems } from "./client.js";
import { type Draft, holdOf } from "./draft.js";

/** Milliseconds that a hold lasts; the server's clock need not agree with this one. */
export function lifeOf(h: Pick<Hold, "expires_at" | "created_at">): number {
  return Date.parse(h.expires_at) - Date.parse(h.created_at);
}

/** "4:59" */
export function countdown(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export class KeptTime {
  hold = $state.raw<HoldCreated>();
  /** What was kept, to be compared with the draft. */
  of = "";
  seconds = $state(0);
  busy = $state(false);

  private until = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private closed = false;

  /** onend: the hold has expired. */
  constructor(private onend: () => void) {}

  async keep(d: Draft): Promise<Problem | NoAnswer | undefined> {
    const body = holdOf(d);
    this.busy = true;
    const answer = await mems.createHold({ headers: { "Idempotency-Key": crypto.randomUUID() }, body });
    this.busy = false;
    if (answer.error) return answer.error;
    this.hold = answer.data;
    this.of = JSON.stringify(body);
    this.until = Date.now() + lifeOf(answer.data);
    if (this.closed)
      this.release(); // the dialog was closed meanwhile
    else this.timer = setInterval(() => this.tick(), 1000);
    this.tick();
    return undefined;
  }

  /** The time was booked, or is kept no longer. */
  forget(): void {
    clearInterval(this.timer);
    this.hold = undefined;
  }

  /** Frees the time for others at once; without an answer it is free when the hold expires. */
  release(): void {
    const id = this.hold?.id;
    this.forget();
    if (id) void mems.deleteHold({ path: { id } });
  }

  close(): void {
    this.closed = true;
    this.release();
  }

  private tick(): void {
    if (!this.hold) return;
    this.seconds = Math.max(0, Math.ceil((this.until - Date.now()) / 1000));
    if (this.seconds > 0) return;
    this.forget();
    this.onend();
  }
}
