import { expect, test } from "vitest";

import { waitingText } from "./waiting.js";

const now = Date.parse("2027-06-01T08:06:00Z");
const at = (status: "scheduled" | "confirmed" | "checked_in" | "in_progress") => ({
  status,
  start_time: "2027-06-01T08:00:00Z",
});
const ticket = (status: "waiting" | "called" | "in_progress") => ({ status, created_at: "2027-06-01T08:00:00Z" });

test("a patient with an appointment who is called no longer only waits", () => {
  expect(waitingText(at("checked_in"), ticket("waiting"), now, true)).toBe("Waiting 6 min");
  expect(waitingText(at("checked_in"), ticket("called"), now, true)).toBe("called");
});

test("a patient is late on the day only, and not once they are here", () => {
  expect(waitingText(at("confirmed"), undefined, now, true)).toBe("6 min late");
  expect(waitingText(at("confirmed"), undefined, now, false)).toBe("");
  expect(waitingText(at("checked_in"), undefined, now, true)).toBe("");
  expect(waitingText(at("in_progress"), ticket("in_progress"), now, true)).toBe("");
});
