// Fails when a component of openapi.yaml has a name that TypeScript's own
// libraries have (Date, Location, ...), or two names differ in case only: a
// generator makes one type of each, and the second hides the first.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const { load } = require("js-yaml");
const lib = dirname(require.resolve("typescript"));
const globals = new Set();
for (const file of readdirSync(lib).filter((name) => /^lib\..*\.d\.ts$/.test(name))) {
  const declared = /^(?:declare )?(?:var|interface|function|type|namespace|const|class) (\w+)/gm;
  for (const [, name] of readFileSync(join(lib, file), "utf8").matchAll(declared)) {
    globals.add(name);
  }
}

const contract = load(readFileSync(new URL("../../../openapi.yaml", import.meta.url), "utf8"));
const names = Object.entries(contract.components)
  .filter(([section]) => section !== "examples") // nothing is generated of these
  .flatMap(([section, members]) => Object.keys(members).map((name) => ({ name, where: `components.${section}` })));
for (const [path, item] of Object.entries(contract.paths)) {
  for (const operation of Object.values(item)) {
    if (operation.operationId) {
      names.push({ name: operation.operationId, where: path });
    }
  }
}

const faults = [];
const seen = new Map();
for (const { name, where } of names) {
  if (globals.has(name)) {
    faults.push(`${where}.${name} has the name of a global of TypeScript's libraries`);
  }
  const key = name.toLowerCase().replaceAll("_", "");
  const before = seen.get(key);
  if (before) {
    faults.push(`${where}.${name} and ${before} differ in case only`);
  }
  seen.set(key, `${where}.${name}`);
}
if (faults.length > 0 || globals.size < 1000) {
  console.error(faults.join("\n") || "TypeScript's libraries were not found");
  process.exit(1);
}
