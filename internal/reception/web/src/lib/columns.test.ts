import type { Appointment, Doctor, TimeOff } from "mems-client";
import { expect, test } from "vitest";
import { columnFor, span } from "./columns.js";
import { MINUTE } from "./time.js";

const doctor = { id: 1 } as Doctor;
const known = (date: string, start: string, minutes: number, zone = "Europe/Zurich") => ({
  zone,
  today: date,
  visits: [
    {
      id: 1,
      doctor_id: 1,
      status: "scheduled",
      start_time: start,
      end_time: new Date(Date.parse(start) + minutes * MINUTE).toISOString(),
    } as Appointment,
  ],
  closures: [],
  hours: {},
  away: {},
});

test.each([
  ["Europe/Zurich", "2027-03-28", "2027-03-28T21:15:00Z"], // 23:15 on a day with 23 hours
  ["Europe/Zurich", "2027-03-28", "2027-03-28T16:15:00Z"],
  ["Europe/Zurich", "2027-10-31", "2027-10-31T00:30:00Z"], // the first 02:30
  ["Europe/Zurich", "2027-10-31", "2027-10-31T01:30:00Z"], // and the second
  ["Europe/Zurich", "2027-10-31", "2027-10-31T22:30:00Z"],
  ["Australia/Lord_Howe", "2027-04-04", "2027-04-03T15:15:00Z"],
  ["America/Santiago", "2027-04-03", "2027-04-04T03:00:00Z"], // the second 23:00, until midnight
  ["America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z"], // the first hour of a day that begins at 01:00
])("%s %s: an appointment at %s lies whole in its column", (zone, date, start) => {
  const data = known(date, start, 30, zone);
  const column = columnFor(doctor, date, span([date], [doctor], data), data);
  expect(column.visits).toHaveLength(1);
  expect(column.from).toBeLessThanOrEqual(Date.parse(start));
  expect(column.to).toBeGreaterThanOrEqual(Date.parse(start) + 30 * MINUTE);
});

test("an ordinary day shows whole hours and no more", () => {
  const data = known("2027-03-01", "2027-03-01T06:10:00Z", 20); // 07:10
  expect(span(["2027-03-01"], [doctor], data)).toEqual({ from: 7 * 60, to: 17 * 60 });
  const late = known("2027-03-01", "2027-03-01T16:30:00Z", 30); // until 18:00
  expect(span(["2027-03-01"], [doctor], late)).toEqual({ from: 8 * 60, to: 18 * 60 });
});

test("time off says why, and a colleague's, of which a doctor is not told why, that the doctor is away", () => {
  const data = known("2027-03-01", "2027-03-01T08:00:00Z", 30);
  const off = { id: 1, doctor_id: 1, start_time: "2027-03-01T10:00:00Z", end_time: "2027-03-01T11:00:00Z" } as TimeOff;
  const why = (o: TimeOff) =>
    columnFor(doctor, "2027-03-01", { from: 480, to: 1020 }, { ...data, away: { 1: [o] } }).blocked.map((b) => b.why);
  expect(why({ ...off, reason: "illness", note: null })).toContain("Ill");
  expect(why(off)).toContain("Away");
});
