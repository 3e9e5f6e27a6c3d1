import { bounds } from "mems-client";
import { expect, test } from "vitest";
import { field } from "./bounds.js";

const sources = import.meta.glob<string>("../**/*.svelte", { query: "?raw", import: "default", eager: true });

test("a field has the attributes of its bounds, and no others", () => {
  expect(field(bounds.patientCreate.first_name)).toEqual({ maxlength: bounds.patientCreate.first_name.maxLength });
  expect(field(bounds.appointmentCreate.duration_minutes)).toEqual({ min: 15, max: 180 });
  expect(field({})).toEqual({});
});

test("no bound of a field is typed by hand", () => {
  expect(Object.keys(sources).length).toBeGreaterThan(25);
  for (const [name, source] of Object.entries(sources))
    expect(source, name).not.toMatch(/\b(max|min)(length)?=["{]*\d/i);
});
