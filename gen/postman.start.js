// Runs before each request; the first one of a run gives the run its name and
// its days. {{day}} is a Monday at least a week ahead, {{day1}} the day after.
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
