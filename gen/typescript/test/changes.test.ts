// Live changes of the real server.
import { type Change, followChanges, pages, ProblemError, unwrap } from "mems-client";
import { expect, test } from "vitest";
import { all, connect, scene } from "./clinic.js";

const mems = connect();

test("a booking is told while it is followed, and again from where one was", async () => {
  const { body } = await scene(mems);
  const leave = new AbortController();
  let live = () => {};
  const ready = new Promise<void>((resolve) => (live = resolve));
  const seen: Change[] = [];
  const following = (async () => {
    for await (const change of followChanges(mems, { objects: ["appointment"], signal: leave.signal, onState: live })) {
      if (change.doctor_id !== body.doctor_id) continue; // Another test's.
      seen.push(change);
      if (seen.length === 2) leave.abort();
    }
  })();
  await ready;
  const { id } = await unwrap(mems.bookAppointment({ body }));
  await unwrap(mems.cancelAppointment({ path: { id }, body: { reason: "patient_request" } }));
  await following;
  expect(seen).toMatchObject([
    { type: "appointment.booked", object: "appointment", object_id: id, deleted: false },
    { type: "appointment.cancelled", object: "appointment", object_id: id, deleted: false },
  ]);

  const after = seen[0]?.cursor ?? "";
  for await (const change of followChanges(mems, { objects: ["appointment"], after })) {
    if (change.doctor_id !== body.doctor_id) continue;
    expect(change).toEqual(seen[1]);
    break;
  }
  const read = await all(pages(mems.listChanges, { query: { cursor: after, objects: "appointment" } }));
  expect(read.find(({ doctor_id }) => doctor_id === body.doctor_id)).toEqual(seen[1]);
});

test("who may not follow is told so", async () => {
  const stranger = connect({ apiKey: "mems_1_nonsense" });
  await expect(followChanges(stranger).next()).rejects.toBeInstanceOf(ProblemError);
});
