// Runs the Postman collection as its users would, twice in a row, against a
// MEMS of this checkout with a database of its own.
import newman from "newman";
import { startMems } from "./server.mjs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const collection = require("./postman/mems.postman_collection.json");
const environment = require("./postman/mems.postman_environment.json");

const mems = await startMems();
let failed = false;
try {
  for (const round of ["first", "second"]) {
    const { stats, failures, done } = await run([
      { key: "baseUrl", value: mems.url },
      { key: "apiKey", value: mems.apiKey },
    ]);
    for (const { source, error } of failures) console.error(`${source?.name ?? "script"}: ${error.test ?? error.name}: ${error.message}`);
    // A request that was not sent, or has no test, would fail in silence.
    const requests = count(collection.item);
    if (stats.requests.total !== requests || stats.testScripts.total < requests) {
      console.error(`${stats.requests.total} of ${requests} requests were sent, ${stats.testScripts.total} test scripts ran`);
      failed = true;
    }
    failed ||= failures.length > 0;
    console.log(`${round} run: ${stats.requests.total} requests, ${stats.assertions.total} assertions, ${failures.length} failed; ${done} requests did what they ask for`);
  }
} finally {
  await mems.stop();
}
process.exitCode = failed ? 1 : 0;

function run(envVar) {
  return new Promise((resolve, reject) => {
    let done = 0;
    newman
      .run({ collection, environment, envVar, timeoutRequest: 30_000 }, (error, summary) => {
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
