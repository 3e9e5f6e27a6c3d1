// Writes the Postman collection and environment from openapi.yaml.
// usage: node postman.mjs OUTPUT_FOLDER
//
// openapi-to-postmanv2 makes the folders, in the contract's order. Values
// that it would draw at random come from the contract's examples instead, ids
// from variables, so that the same contract always gives the same bytes.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { reference } from "./postman.reference.mjs";
import { story } from "./postman.story.mjs";

const require = createRequire(import.meta.url);
const converter = require("openapi-to-postmanv2");
const yaml = require("js-yaml");

const BASE_URL = "http://127.0.0.1:8080";
// No record has this id: a request before its id is known answers 404 and touches nothing.
const NOBODY = "999999999999";

const [output] = process.argv.slice(2);
if (!output) {
  console.error("usage: node postman.mjs OUTPUT_FOLDER");
  process.exit(2);
}
const text = readFileSync(new URL("../openapi.yaml", import.meta.url), "utf8");
const contract = yaml.load(text, { schema: yaml.JSON_SCHEMA });

const converted = await convert(text);
const { folders, variables } = reference(contract, converted.item);
const start = storyFolder();
const written = JSON.stringify([start, folders]);
const offsets = [
  ...new Set(
    [...written.matchAll(/\{\{day(Minus)?(\d*)\}\}/g)].map(([, minus, days]) => (minus ? -days : Number(days))),
  ),
];
offsets.sort((a, b) => a - b);
const begin = readFileSync(new URL("postman.start.js", import.meta.url), "utf8")
  .replace("FIRST", JSON.stringify(story[0].name))
  .replace("OFFSETS", JSON.stringify(offsets));

const told = [...written.matchAll(/collectionVariables\.set\(\\"(\w+)\\"/g)].map(([, name]) => name);
const ids = [...new Set([...variables, ...told.filter((name) => name.endsWith("Id"))])].sort();

mkdirSync(output, { recursive: true });
write("mems.postman_collection.json", {
  info: {
    _postman_id: "6d656d73-0000-4000-8000-000000000001",
    name: contract.info.title,
    description: contract.info.description,
    schema: "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
  },
  item: [start, ...folders],
  auth: { type: "noauth" }, // postman.start.js adds the key
  event: [script("prerequest", begin)],
  variable: [
    { key: "baseUrl", value: BASE_URL },
    { key: "apiKey", value: "" },
    { key: "token", value: "" },
    ...ids.map((key) => ({ key, value: NOBODY })),
  ],
});
write("mems.postman_environment.json", {
  id: "6d656d73-0000-4000-8000-000000000002",
  name: "MEMS on this machine",
  values: [
    { key: "baseUrl", value: BASE_URL, type: "default", enabled: true },
    { key: "apiKey", value: "", type: "secret", enabled: true },
    { key: "token", value: "", type: "secret", enabled: true },
  ],
  _postman_variable_scope: "environment",
});

function write(name, content) {
  writeFileSync(join(output, name), `${JSON.stringify(content, null, 2)}\n`);
}

function convert(data) {
  const options = { folderStrategy: "Tags", parametersResolution: "Example", includeAuthInfoInExample: false };
  return new Promise((resolve, reject) => {
    converter.convertV2({ type: "string", data }, options, (error, result) => {
      if (error || !result.result) reject(error ?? new Error(result.reason));
      else resolve(result.output[0].data);
    });
  });
}

function script(listen, code) {
  return { listen, script: { type: "text/javascript", exec: code.trimEnd().split("\n") } };
}

function storyFolder() {
  const item = story.map(({ name, description, method, path, query = {}, headers = {}, body, prepare, test }) => {
    const header = Object.entries(headers).map(([key, value]) => ({ key, value }));
    if (method === "POST") header.push({ key: "Idempotency-Key", value: "{{$guid}}" });
    if (body) header.push({ key: "Content-Type", value: "application/json" });
    const pairs = Object.entries(query).map(([key, value]) => ({ key, value }));
    const search = pairs.map(({ key, value }) => `${key}=${value}`).join("&");
    const request = {
      method,
      header,
      url: {
        raw: `{{baseUrl}}${path}${search && "?"}${search}`,
        host: ["{{baseUrl}}"],
        path: path.slice(1).split("/"),
        ...(pairs.length > 0 && { query: pairs }),
      },
      ...(description && { description }),
      // Numbers that come from variables stand without quotation marks.
      ...(body && {
        body: {
          mode: "raw",
          raw: JSON.stringify(body, null, 2).replace(/"(\{\{\w+Id\}\})"/g, "$1"),
          options: { raw: { language: "json" } },
        },
      }),
    };
    return {
      name,
      event: [...(prepare ? [script("prerequest", prepare)] : []), script("test", test)],
      request,
      response: [],
    };
  });
  return {
    name: "1 A first day",
    description: "From the first patient to the day's list. Run the folder from top to bottom, as often as you like.",
    item,
  };
}
