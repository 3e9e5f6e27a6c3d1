import { instant, instantAt, toDate, unwrap, wallTime } from "mems-client";
import { expect, test } from "vitest";
import { connect } from "./clinic.js";

test("instants and dates go both ways", () => {
  expect(instant(new Date(Date.UTC(2027, 2, 1, 9)))).toBe("2027-03-01T09:00:00.000Z");
  expect(toDate("2027-03-01T10:00:00+01:00").getTime()).toBe(Date.UTC(2027, 2, 1, 9));
  expect(toDate("2026-11-23T08:00:00.123456Z").getTime()).toBe(Date.UTC(2026, 10, 23, 8, 0, 0, 123));
});

test.each(["2027-03-01T09:00:00", "2027-03-01", "tomorrow", ""])("%j is not an instant", (text) => {
  expect(() => toDate(text)).toThrow(RangeError);
});

test("an invalid Date does not go out", () => {
  expect(() => instant(new Date(Number.NaN))).toThrow(RangeError);
});

// Changes of the clocks by an hour, by half an hour, at midnight and at the
// ends of the scale. Where there are two instants, the wall shows the first.
test.each([
  ["an ordinary day", "2027-03-01", "10:00", "Europe/Zurich", "2027-03-01T09:00:00.000Z"],
  ["a skipped time", "2027-03-28", "02:30", "Europe/Zurich", "2027-03-28T01:00:00.000Z"],
  ["a repeated time", "2027-10-31", "02:30", "Europe/Zurich", "2027-10-31T00:30:00.000Z"],
  ["just after a repeated hour", "2027-10-31", "03:00", "Europe/Zurich", "2027-10-31T02:00:00.000Z"],
  ["a skipped half hour", "2026-10-04", "02:10", "Australia/Lord_Howe", "2026-10-03T15:30:00.000Z"],
  ["a repeated half hour", "2027-04-04", "01:45", "Australia/Lord_Howe", "2027-04-03T14:45:00.000Z"],
  ["a midnight that is skipped", "2026-09-06", "00:00", "America/Santiago", "2026-09-06T04:00:00.000Z"],
  ["far in the east", "2027-01-01", "00:00", "Pacific/Kiritimati", "2026-12-31T10:00:00.000Z"],
  ["far in the west", "2027-01-01", "23:59", "Pacific/Pago_Pago", "2027-01-02T10:59:00.000Z"],
  ["a three-quarter offset", "2027-01-01", "06:00", "Asia/Kathmandu", "2027-01-01T00:15:00.000Z"],
])("%s", (_, date, time, zone, expected) => {
  expect(instantAt(date, time, zone)).toBe(expected);
});

test("what the wall shows leads back, every quarter of an hour around the changes", () => {
  for (const [zone, day] of [
    ["Europe/Zurich", "2027-03-28"],
    ["Europe/Zurich", "2027-10-31"],
    ["America/New_York", "2027-11-07"],
    ["Australia/Lord_Howe", "2027-04-04"],
    ["America/Santiago", "2026-09-06"],
  ] as const) {
    const noon = Date.parse(`${day}T12:00:00Z`);
    for (let at = noon - 36 * 3_600_000; at < noon + 36 * 3_600_000; at += 900_000) {
      const shown = wallTime(new Date(at), zone);
      const back = Date.parse(instantAt(shown.date, shown.time, zone));
      expect(wallTime(new Date(back), zone)).toEqual(shown);
      expect(back).toBeLessThanOrEqual(at);
    }
  }
});

test.each([
  ["2027-02-30", "10:00"],
  ["2027-3-1", "10:00"],
  ["2027-03-01", "10"],
  ["2027-03-01", "25:00"],
])("%s %s is no time of day", (date, time) => {
  expect(() => instantAt(date, time, "UTC")).toThrow(RangeError);
});

test("the clinic names a zone that this machine knows", async () => {
  const { time_zone } = await unwrap(connect().getVersion());
  expect(wallTime("2027-03-01T09:00:00Z", time_zone).date).toMatch(/^2027-0[23]-\d\d$/);
});
