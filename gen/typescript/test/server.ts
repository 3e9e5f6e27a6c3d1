// The server that the tests talk to: a private one, or that of MEMS_URL.
import type { TestProject } from "vitest/node";
import { startMems } from "../../server.mjs";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    apiKey: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { MEMS_URL: url, MEMS_API_KEY: apiKey } = process.env;
  if (url && !apiKey) {
    throw new Error("MEMS_URL needs MEMS_API_KEY beside it: a key with the role admin of that installation.");
  }
  const server = url && apiKey ? { url, apiKey, stop: () => Promise.resolve() } : await startMems();
  project.provide("url", server.url);
  project.provide("apiKey", server.apiKey);
  return server.stop;
}
