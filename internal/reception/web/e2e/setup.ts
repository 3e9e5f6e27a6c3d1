// One server for all tests, with a small clinic in it.
import { startMems } from "../../../../gen/server.mjs";

export default async function setup(): Promise<() => Promise<void>> {
  const server = await startMems({
    MEMS_CLINIC_TIME_ZONE: "Europe/Zurich",
  });
  process.env.DESK_URL = server.url;
  process.env.DESK_KEY = server.apiKey;
  const send = async (method: string, path: string, body: unknown) => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { "Content-Type": "application/json", "X-API-Key": server.apiKey },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { id: number };
  };
  const week = [1, 2, 3, 4, 5, 6, 7].flatMap((weekday) => [
    { weekday, start: "00:00", end: "12:00" },
    { weekday, start: "13:00", end: "17:00" },
  ]);
  for (const [name, specialization] of [
    ["Dr. Ines Vogt", "Allergology"],
    ["Dr. Per Holm", "Allergology"],
    ["Dr. Mia Roth", "Cardiology"],
  ]) {
    const doctor = await send("POST", "/doctors", { full_name: name, specialization });
    await send("PUT", `/doctors/${doctor.id}/working-hours`, {
      timetables: [{ effective_from: "2020-01-01", blocks: week }],
      exceptions: [],
    });
  }
  // Works at any time, so that a walk-in can be taken whenever the tests run.
  await send("POST", "/doctors", { full_name: "Dr. Zoe Frei", specialization: "Urgent care" });
  await send("POST", "/appointment-types", {
    name: "Consultation",
    duration_minutes: 45,
    specializations: ["Allergology"],
  });
  for (const [first_name, last_name] of [
    ["Ann", "Muster"],
    ["Tom", "Keller"],
    ["Lea", "Brunner"],
  ]) {
    await send("POST", "/patients", { first_name, last_name, birth_date: "1980-02-03" });
  }
  return server.stop;
}
