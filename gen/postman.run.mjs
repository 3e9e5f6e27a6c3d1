// Runs the Postman collection as its users would: twice in a row with a key,
// and the story without one, against servers of this checkout.
import { createRequire } from "node:module";
import newman from "newman";
import { startMems } from "./server.mjs";

const require = createRequire(import.meta.url);
const collection = require("./postman/mems.postman_collection.json");
const environment = require("./postman/mems.postman_environment.json");
const [story] = collection.item;

const locked = await startMems();
try {
  await round("all, with a key", locked.url, locked.apiKey);
  await round("all, once more", locked.url, locked.apiKey);
} finally {
  await locked.stop();
}
const open = await startMems({ MEMS_AUTH: "open" });
try {
  await round("the story, without a key", open.url, "", story);
} finally {
  await open.stop();
}

async function round(what, url, apiKey, only) {
  const { stats, failures, done } = await run(url, apiKey, only?.name);
  for (const { source, error } of failures)
    console.error(`${source?.name ?? "script"}: ${error.test ?? error.name}: ${error.message}`);
  // A request that is not sent, or has no test, would fail in silence.
  const requests = count(only?.item ?? collection.item);
  const silent = stats.requests.total !== requests || stats.testScripts.total < requests;
  if (silent)
    console.error(
      `${stats.requests.total} of ${requests} requests were sent, ${stats.testScripts.total} test scripts ran`,
    );
  if (silent || failures.length > 0) process.exitCode = 1;
  console.log(
    `${what}: ${stats.requests.total} requests, ${done} of them done and not refused; ` +
      `${stats.assertions.total} assertions, ${failures.length} failed`,
  );
}

function run(url, apiKey, folder) {
  const envVar = [
    { key: "baseUrl", value: url },
    { key: "apiKey", value: apiKey },
  ];
  return new Promise((resolve, reject) => {
    let done = 0;
    newman
      .run({ collection, environment, envVar, folder, timeoutRequest: 30_000 }, (error, summary) => {
        if (error) reject(error);
        else resolve({ ...summary.run, done });
      })
      .on("request", (error, { response } = {}) => {
        if (response?.code < 300) done++;
      });
  });
}

function count(items) {
  return items.reduce((sum, item) => sum + (item.item ? count(item.item) : 1), 0);
}
