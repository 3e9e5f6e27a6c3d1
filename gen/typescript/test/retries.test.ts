import { once } from "node:events";
import { createServer, request as ask, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isProblem, NoAnswer, pages, type RetryPolicy, unwrap } from "mems-client";
import { afterEach, expect, inject, test } from "vitest";
import { all, connect, listening, scene } from "./clinic.js";

const quick: RetryPolicy = { firstDelay: 1, longestDelay: 2000 };
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

// cutting passes requests on to MEMS, but lets the first answers to a booking
// be lost: before their first byte, or in the middle.
async function cutting(where: "before" | "middle", times: number) {
  let lost = 0;
  const keys: unknown[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url } = incoming;
    const onward = ask(new URL(url ?? "/", inject("url")), { method, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("end", () => {
        const body = Buffer.concat(parts);
        const booking = method === "POST" && url === "/appointments";
        if (booking) keys.push(headers["idempotency-key"]);
        const cut = booking && lost < times;
        if (cut) lost++;
        if (cut && where === "before") {
          outgoing.destroy();
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        if (cut) outgoing.write(body.subarray(0, body.length / 2), () => outgoing.destroy());
        else outgoing.end(body);
      });
    });
    incoming.pipe(onward);
  });
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys };
}

test.each(["before", "middle"] as const)("a booking whose answer is cut off %s is made once", async (where) => {
  const proxy = await cutting(where, 2);
  const mems = connect({ baseUrl: proxy.baseUrl, retries: quick });
  const { body, doctor } = await scene(mems);
  const booked = await unwrap(mems.bookAppointment({ body }));

  expect(proxy.keys.length).toBe(3);
  expect(new Set(proxy.keys).size).toBe(1);
  const query = { date: body.start_time.slice(0, 10), doctor_id: doctor.id };
  const day = await all(pages(connect().listAppointments, { query }));
  expect(day.map(({ id }) => id)).toEqual([booked.id]);
});

test("a lost connection is given up after the last attempt", async () => {
  const proxy = await cutting("before", 100);
  const mems = connect({ baseUrl: proxy.baseUrl, retries: { ...quick, attempts: 3 } });
  const { body } = await scene(mems);
  const { error } = await mems.bookAppointment({ body });
  expect(error).toBeInstanceOf(NoAnswer);
  expect(proxy.keys.length).toBe(3);
});

// answering gives one answer after the other, the last one for ever; an Error is a lost connection.
function answering(...answers: (Error | [status: number, slug: string, headers?: Record<string, string>])[]) {
  let next = 0;
  return listening(() => {
    const answer = answers[Math.min(next++, answers.length - 1)];
    if (!answer || answer instanceof Error) return Promise.reject(answer ?? new Error("nothing to answer"));
    const [status, slug, headers = {}] = answer;
    if (status < 400) return Promise.resolve(Response.json({ done: true }, { status, headers }));
    const problem = { type: `/problems/${slug}`, title: slug, status, detail: slug, instance: "/", request_id: "1" };
    return Promise.resolve(Response.json(problem, { status, headers }));
  });
}

const lost = new TypeError("fetch failed");
const read = (mems: ReturnType<typeof connect>) => mems.getDoctor({ path: { id: 1 } });
const book = (mems: ReturnType<typeof connect>) =>
  mems.bookAppointment({
    body: { patient_id: 1, doctor_id: 1, start_time: "2027-03-01T09:00:00Z", duration_minutes: 30 },
  });
const change = (mems: ReturnType<typeof connect>) => mems.updateDoctor({ path: { id: 1 }, body: { is_active: false } });
const remove = (mems: ReturnType<typeof connect>) => mems.deleteDoctor({ path: { id: 1 } });

test.each([
  { what: "a read after a lost connection", call: read, answers: answering(lost, [200, ""]), sent: 2 },
  { what: "a read after 503", call: read, answers: answering([503, "unavailable"], [200, ""]), sent: 2 },
  { what: "a booking after 429", call: book, answers: answering([429, "rate-limited"], [201, ""]), sent: 2 },
  {
    what: "a booking of unknown outcome",
    call: book,
    answers: answering([503, "outcome-unknown"], [201, ""]),
    sent: 2,
  },
  {
    what: "a booking still under way",
    call: book,
    answers: answering(lost, [409, "idempotency-key-in-use"], [201, ""]),
    sent: 3,
  },
  {
    what: "a change after 503 unavailable",
    call: change,
    answers: answering([503, "unavailable"], [200, ""]),
    sent: 2,
  },
  { what: "a deletion after 429", call: remove, answers: answering([429, "rate-limited"], [200, ""]), sent: 2 },
])("$what is sent again", async ({ call, answers, sent }) => {
  const { error } = await call(connect({ fetch: answers.fetch, retries: quick }));
  expect(error).toBeUndefined();
  expect(answers.sent.length).toBe(sent);
});

test.each([
  { what: "a change after a lost connection", call: change, answers: answering(lost) },
  { what: "a deletion after a lost connection", call: remove, answers: answering(lost) },
  { what: "a change of unknown outcome", call: change, answers: answering([503, "outcome-unknown"]) },
  { what: "a refused booking", call: book, answers: answering([409, "doctor-overlap"]) },
  { what: "a key that somebody else uses", call: book, answers: answering([409, "idempotency-key-in-use"]) },
  { what: "a fault of the server", call: read, answers: answering([500, "internal-error"]) },
  { what: "what is not found", call: read, answers: answering([404, "doctor-not-found"]) },
])("$what is not sent again", async ({ call, answers }) => {
  const { error } = await call(connect({ fetch: answers.fetch, retries: quick }));
  expect(error).toBeDefined();
  expect(answers.sent.length).toBe(1);
});

test("every attempt of one booking has the same key, every booking another, and yours stays", async () => {
  const answers = answering(lost, [201, ""], [201, ""]);
  const mems = connect({ fetch: answers.fetch, retries: quick });
  await book(mems);
  await book(mems);
  const body = { patient_id: 1, doctor_id: 1, start_time: "2027-03-01T09:00:00Z", duration_minutes: 30 };
  await mems.bookAppointment({ body, headers: { "Idempotency-Key": "mine" } });
  await read(mems);
  const [first, again, second, mine, none] = answers.sent.map(({ headers }) => headers.get("Idempotency-Key"));
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(again).toBe(first);
  expect(second).toMatch(/^[0-9a-f]{32}$/);
  expect(second).not.toBe(first);
  expect([mine, none]).toEqual(["mine", null]);
});

test("Retry-After is waited for, unless it is too long", async () => {
  const soon = answering([503, "unavailable", { "Retry-After": "1" }], [200, ""]);
  const since = performance.now();
  await unwrap(read(connect({ fetch: soon.fetch, retries: quick })));
  expect(performance.now() - since).toBeGreaterThanOrEqual(1000);

  const late = answering([503, "unavailable", { "Retry-After": "3" }], [200, ""]);
  const { error } = await read(connect({ fetch: late.fetch, retries: quick }));
  expect(isProblem(error, "unavailable")).toBe(true);
  expect(late.sent.length).toBe(1);
});

test("an abort ends the wait for the next attempt, and the attempt itself", async () => {
  const answers = answering([503, "unavailable"]);
  const abort = new AbortController();
  const waiting = connect({ fetch: answers.fetch, retries: { firstDelay: 60_000, longestDelay: 60_000 } }).getDoctor({
    path: { id: 1 },
    signal: abort.signal,
  });
  setTimeout(() => abort.abort(), 20);
  expect((await waiting).error).toBeInstanceOf(NoAnswer);
  expect(answers.sent.length).toBe(1);

  const silent = createServer(() => {});
  servers.push(silent.listen(0, "127.0.0.1"));
  await once(silent, "listening");
  const baseUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const { error } = await connect({ baseUrl, retries: { ...quick, attempts: 2, timeout: 50 } }).getVersion();
  expect((error as NoAnswer).message).toContain("timeout");
});
