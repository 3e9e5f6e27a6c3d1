// Runs before each request. Postman would send an empty key as well, which an
// installation without authentication refuses like any wrong one.
for (const [variable, key, prefix] of [
  ["apiKey", "X-API-Key", ""],
  ["token", "Authorization", "Bearer "],
]) {
  const secret = pm.variables.get(variable);
  if (secret) pm.request.headers.upsert({ key, value: prefix + secret });
}

// The first request of the story gives a run its name, so that each makes
// records of its own. {{day}} is a Monday at least a week ahead, {{day1}} the
// day after it.
const set = (name, value) => pm.collectionVariables.set(name, value);
if (!pm.collectionVariables.get("run") || pm.info.requestName === FIRST) {
  set("run", Date.now().toString(36) + Math.random().toString(36).slice(2, 5));
}
const monday = new Date();
monday.setUTCDate(monday.getUTCDate() + 7 + ((8 - monday.getUTCDay()) % 7));
for (const after of OFFSETS) {
  const day = new Date(monday);
  day.setUTCDate(day.getUTCDate() + after);
  set(after === 0 ? "day" : after > 0 ? `day${after}` : `dayMinus${-after}`, day.toISOString().slice(0, 10));
}
