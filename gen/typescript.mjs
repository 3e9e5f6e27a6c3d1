// Writes the generated half of the TypeScript client from openapi.yaml.
// usage: node typescript.mjs OUTPUT_FOLDER
import { createClient } from "@hey-api/openapi-ts";
import { fileURLToPath } from "node:url";

const [output] = process.argv.slice(2);
if (!output) {
  console.error("usage: node typescript.mjs OUTPUT_FOLDER");
  process.exit(2);
}

await createClient({
  input: fileURLToPath(new URL("../openapi.yaml", import.meta.url)),
  // Names end in .js, as ECMAScript modules want them.
  output: { path: output, importFileExtension: ".js" },
  logs: { level: "silent", file: false },
  plugins: [
    "@hey-api/client-fetch",
    { name: "@hey-api/typescript", enums: false },
    // No client of its own: createMems hands one in, so that there is no global one.
    { name: "@hey-api/sdk", client: false },
  ],
});
