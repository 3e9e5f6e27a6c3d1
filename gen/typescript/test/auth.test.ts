import { isProblem, unwrap } from "mems-client";
import { expect, test } from "vitest";
import { connect, listening } from "./clinic.js";

const nothing: typeof fetch = () => Promise.resolve(Response.json({}));

function headers(sent: Request[], name: string) {
  return sent.map((request) => request.headers.get(name));
}

test("a key lets in, and without one the door is closed", async () => {
  const me = await unwrap(connect().getCaller());
  expect(me.permissions).toContain("appointments:write");

  const stranger = connect({ apiKey: () => undefined });
  expect(isProblem((await stranger.getCaller()).error, "unauthenticated")).toBe(true);
  expect(isProblem((await connect({ apiKey: "mems_1_nonsense" }).getCaller()).error, "unauthenticated")).toBe(true);
});

test("a secret that is a function is asked for every request", async () => {
  const { sent, fetch } = listening(nothing);
  let asked = 0;
  const mems = connect({ fetch, apiKey: () => undefined, token: () => Promise.resolve(`token-${++asked}`) });
  await mems.getCaller();
  await mems.getCaller();
  expect(headers(sent, "Authorization")).toEqual(["Bearer token-1", "Bearer token-2"]);
  expect(headers(sent, "X-API-Key")).toEqual([null, null]);
});

test("who does it is stated, and only when it is known", async () => {
  const { sent, fetch } = listening(nothing);
  await connect({ fetch, actor: "front desk" }).getCaller();
  await connect({ fetch }).getCaller();
  expect(headers(sent, "MEMS-Actor")).toEqual(["front desk", null]);
});

test("two clients know nothing of each other", async () => {
  const one = listening(nothing);
  const two = listening(nothing);
  const first = connect({ fetch: one.fetch, apiKey: "one" });
  connect({ fetch: two.fetch, apiKey: "two" });
  const { getCaller } = first; // Needs no `this`.
  await getCaller();
  expect(headers(one.sent, "X-API-Key")).toEqual(["one"]);
  expect(two.sent).toEqual([]);
});
