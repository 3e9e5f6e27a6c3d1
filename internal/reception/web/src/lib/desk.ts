// Opens and closes the desk: who signs in, what is read first, and that nothing stays behind.
import { isProblem, type NoAnswer, problemOf } from "mems-client";
import { calendar } from "./calendar.svelte.js";
import { apiKey, mems, server, setKey } from "./client.js";
import { live } from "./live.svelte.js";
import { navigation } from "./navigation.svelte.js";
import { people } from "./people.svelte.js";
import { errorText } from "./refusal.js";
import { session } from "./session.svelte.js";
import { dateAt } from "./time.js";
import { toasts } from "./toasts.svelte.js";
import { ui } from "./ui.svelte.js";

const EXPIRED = "Your key has expired or was revoked. Sign in again to continue.";

server.onUnauthenticated = () => {
  if (session.phase === "ready") endSession(EXPIRED);
};

/** Opens the desk for the key that is kept, or asks for one. */
export async function start(): Promise<void> {
  session.phase = "starting";
  const [version, me] = await Promise.all([mems.getVersion(), mems.getCaller()]);
  if (version.data) session.zone = version.data.time_zone;
  calendar.date ||= dateAt(Date.now(), session.zone);
  if (isProblem(me.error, "unauthenticated")) {
    endSession(apiKey() ? EXPIRED : "");
    return;
  }
  if (!me.data) {
    unreachable(me.error);
    return;
  }
  session.caller = me.data;
  try {
    if (session.may("directory:read")) await calendar.readDirectory();
  } catch (error) {
    unreachable(problemOf(error) ?? (error as NoAnswer));
    return;
  }
  session.signedOutBecause = "";
  navigation.open();
  session.phase = "ready";
  void calendar.read();
  void live.watch();
}

function unreachable(error: Parameters<typeof errorText>[0]): void {
  session.unreachableBecause = errorText(error);
  session.phase = "unreachable";
}

/** Ends the session by choice: what was open over the view is not for the one who signs in next. */
export function signOut(): void {
  navigation.closeDialogs();
  endSession("");
}

// Nothing of the patients stays on the screen or in memory. The address stays: who signs in goes on there.
function endSession(because: string): void {
  live.stop();
  calendar.clear();
  setKey(undefined);
  session.caller = undefined;
  ui.clear();
  toasts.clear();
  people.forget();
  session.signedOutBecause = because;
  session.phase = "signed-out";
}
