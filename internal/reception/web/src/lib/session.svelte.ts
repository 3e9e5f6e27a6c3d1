// Who sits at the desk, what they may do, and what the clinic's clocks show.
import type { Caller, Permission } from "mems-client";
import { mems } from "./client.js";
import { dateAt } from "./time.js";

class Session {
  phase = $state<"starting" | "signed-out" | "ready" | "unreachable">("starting");
  caller = $state.raw<Caller>();
  zone = $state("UTC");
  now = $state(Date.now());
  today = $derived(dateAt(this.now, this.zone));
  /** Why the user has to sign in again. */
  signedOutBecause = $state("");
  /** Why the desk cannot be opened. */
  unreachableBecause = $state("");

  may(p: Permission): boolean {
    return this.caller?.permissions.includes(p) ?? false;
  }

  /** What the caller may do can change while the desk is open. */
  async readCaller(): Promise<void> {
    const me = await mems.getCaller();
    if (me.data && this.phase === "ready") this.caller = me.data;
  }
}

export const session = new Session();
