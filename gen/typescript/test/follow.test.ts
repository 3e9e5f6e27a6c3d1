import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createMems, follow, type FollowOptions, ProblemError } from "mems-client";
import { afterEach, expect, test } from "vitest";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Visit = (answer: ServerResponse, request: IncomingMessage) => void;

// streaming treats each connection with the next of the given visits.
async function streaming(...visits: Visit[]) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, answer) => {
    const visit = visits[asked.length];
    asked.push(request);
    if (!visit) {
      answer.writeHead(204).end();
      return;
    }
    visit(answer, request);
  });
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mems = createMems({ baseUrl, apiKey: "mems_1_key" });
  return { asked, mems };
}

const begin = (answer: ServerResponse) => answer.writeHead(200, { "Content-Type": "text/event-stream" });
const change = (id: number, more = "") => `id: ${id}\nevent: change\n${more}data: {"n": ${id}}\n\n`;
const places = (asked: IncomingMessage[]) => asked.map(({ headers }) => headers["last-event-id"]);

async function gather(mems: ReturnType<typeof createMems>, options: FollowOptions = {}) {
  const seen: number[] = [];
  for await (const { id, event, data } of follow<{ n: number }>(mems, "/stream", { firstDelay: 1, ...options })) {
    expect([event, String(data.n)]).toEqual(["change", id]);
    seen.push(data.n);
  }
  return seen;
}

test("goes on after the last event when the connection is lost, however it is lost", async () => {
  const { mems, asked } = await streaming(
    (answer) => begin(answer).end(change(1) + change(2)),
    (answer) => answer.destroy(),
    (answer) => answer.writeHead(503).end("no"),
    (answer) => begin(answer).write(change(3) + 'id: 4\ndata: {"n"', () => answer.destroy()),
    (answer) => begin(answer).end(change(4)),
  );
  const states: string[] = [];
  const seen = await gather(mems, { after: "0", query: { doctor_id: 7 }, onState: (state) => states.push(state) });
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(places(asked)).toEqual(["0", "2", "2", "2", "3", "4"]);
  expect(asked.map(({ url }) => url)).toEqual(Array.from({ length: 6 }, () => "/stream?doctor_id=7"));
  expect(asked[0]?.headers).toMatchObject({ "x-api-key": "mems_1_key", accept: "text/event-stream" });
  expect(states).toEqual(["live", "lost", "lost", "lost", "live", "lost", "live", "lost"]);
});

test("reads events however they are cut and ended", async () => {
  const text =
    `: hello\r\n\r\n${change(1).replaceAll("\n", "\r\n")}${change(2).replaceAll("\n", "\r")}` +
    'data: {"n":\ndata: 3}\nid:3\nevent:change\nnonsense\n\n';
  const { mems } = await streaming((answer) => {
    begin(answer);
    const parts = Array.from(text);
    const next = () => {
      const part = parts.shift();
      if (part === undefined) answer.end();
      else answer.write(part, () => setImmediate(next));
    };
    next();
  });
  expect(await gather(mems)).toEqual([1, 2, 3]);
});

test("a silent connection counts as lost, one with heartbeats does not", async () => {
  const { mems, asked } = await streaming(
    (answer) => {
      begin(answer).write(change(1));
      let beats = 0;
      const beat = setInterval(() => {
        if (++beats <= 6) answer.write(": alive\n\n");
        else if (beats === 7)
          answer.write(change(2)); // And then not a word.
        else clearInterval(beat);
      }, 50);
    },
    (answer) => begin(answer).end(change(3)),
  );
  const causes: unknown[] = [];
  const seen = await gather(mems, { silence: 200, onState: (state, cause) => state === "lost" && causes.push(cause) });
  expect(seen).toEqual([1, 2, 3]);
  expect(places(asked)).toEqual([undefined, "2", "3"]);
  expect(String(causes[0])).toContain("silent");
});

test("the time that the caller takes is not silence", async () => {
  const { mems, asked } = await streaming((answer) => {
    begin(answer).write(change(1));
    setTimeout(() => answer.end(change(2)), 100);
  });
  const seen: (string | undefined)[] = [];
  for await (const { id } of follow(mems, "/stream", { silence: 150, firstDelay: 1 })) {
    seen.push(id);
    if (id === "1") await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(seen).toEqual(["1", "2"]);
  expect(places(asked)).toEqual([undefined, "2"]);
});

test("a refusal is thrown", async () => {
  const { mems, asked } = await streaming((answer) => {
    const problem = {
      type: "/problems/forbidden",
      title: "No",
      status: 403,
      detail: "No.",
      instance: "/stream",
      request_id: "1",
    };
    answer.writeHead(403, { "Content-Type": "application/problem+json" }).end(JSON.stringify(problem));
  });
  await expect(gather(mems)).rejects.toBeInstanceOf(ProblemError);
  expect(asked.length).toBe(1);
});

test("an abort ends the loop in silence: while connected, while waiting, before the start", async () => {
  const endless: Visit = (answer) => begin(answer).write(change(1));
  const { mems } = await streaming(endless, (answer) => answer.destroy());

  const connected = new AbortController();
  for await (const { id } of follow(mems, "/stream", { signal: connected.signal })) {
    expect(id).toBe("1");
    connected.abort();
  }

  const waiting = new AbortController();
  const options = { signal: waiting.signal, firstDelay: 60_000, onState: () => setTimeout(() => waiting.abort(), 10) };
  expect(await gather(mems, options)).toEqual([]);
  expect(await gather(mems, { signal: AbortSignal.abort() })).toEqual([]);
});

test("leaving the loop closes the connection", async () => {
  let closed: Promise<unknown> | undefined;
  const { mems } = await streaming((answer, request) => {
    closed = once(request.socket, "close");
    begin(answer).write(change(1));
  });
  for await (const { id } of follow(mems, "/stream")) {
    expect(id).toBe("1");
    break;
  }
  await closed;
});

test("the server's own wait is kept", async () => {
  const { mems } = await streaming(
    (answer) => begin(answer).end(change(1, "retry: 300\n")),
    (answer) => begin(answer).end(change(2, "retry: 1\n")),
  );
  const since = performance.now();
  expect(await gather(mems)).toEqual([1, 2]);
  expect(performance.now() - since).toBeGreaterThanOrEqual(150);
});
