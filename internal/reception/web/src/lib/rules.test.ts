import { expect, test } from "vitest";
import contract from "../../../../../openapi.yaml?raw";
import { MAX_MINUTES, MIN_MINUTES } from "./rules.js";

test("the bounds of a length are those of the contract", () => {
  const [, schema = ""] = contract.split("\n    DurationMinutes:\n");
  const [, minimum, maximum] = /minimum: (\d+)\s+maximum: (\d+)/.exec(schema) ?? [];
  expect([minimum, maximum]).toEqual([String(MIN_MINUTES), String(MAX_MINUTES)]);
});
