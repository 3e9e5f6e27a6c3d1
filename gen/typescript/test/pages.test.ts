import { pages, ProblemError, unwrap } from "mems-client";
import { expect, test } from "vitest";
import { all, connect, listening, patient, unique } from "./clinic.js";

test("every item once, in order, whatever the size of a page", async () => {
  const { sent, fetch } = listening();
  const mems = connect({ fetch });
  const name = unique();
  const made: number[] = [];
  for (let count = 0; count < 5; count++) made.push((await patient(mems, `${name}${"abcde"[count] ?? ""}`)).id);

  sent.length = 0;
  const found = await all(pages(mems.listPatients, { query: { name, limit: 2 } }));
  expect(found.map(({ id }) => id)).toEqual(made);
  expect(sent.length).toBe(3);

  sent.length = 0;
  for await (const { id } of pages(mems.listPatients, { query: { name, limit: 2 } })) {
    expect(id).toBe(made[0]);
    break;
  }
  expect(sent.length).toBe(1);
});

test("a list that is empty, and one without parameters", async () => {
  const mems = connect();
  const nobody = await all(pages(mems.listPatients, { query: { name: unique() } }));
  expect(nobody).toEqual([]);
  const keys = await all(pages(mems.listApiKeys));
  expect(keys.length).toBeGreaterThan(0);
});

test("a page that cannot be read is thrown", async () => {
  const mems = connect();
  const doctor = { id: 999_999_999 };
  await expect(pages(mems.listTimeOff, { path: doctor }).next()).rejects.toBeInstanceOf(ProblemError);
  expect((await unwrap(mems.listDoctors({ query: { limit: 1 } }))).items.length).toBeLessThanOrEqual(1);
});

test("a feed, which never ends, is read as far as it goes", async () => {
  const answers = [
    { items: ["a"], next_cursor: "1", more: true },
    { items: ["b"], next_cursor: "2", more: false },
  ];
  const cursors: (string | undefined)[] = [];
  const feed = (asked: { query?: { cursor?: string } }) => {
    cursors.push(asked.query?.cursor);
    const data = answers[cursors.length - 1] ?? { items: [], next_cursor: "3", more: false };
    return Promise.resolve({ data, error: undefined, response: new Response() });
  };
  expect(await all(pages(feed, {}))).toEqual(["a", "b"]);
  expect(cursors).toEqual([undefined, "1"]);
});
