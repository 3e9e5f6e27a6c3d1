import { describe, expect, test } from "vitest";
import { clock, clockRange, moments, offsetName, wallClock } from "./time.js";

const utc = (s: string) => Date.parse(s);
const half = 30 * 60_000;

describe("half an hour on a day when the clocks change", () => {
  test.each([
    // Zurich goes back from 03:00 to 02:00: the first and the second 02:30.
    ["Europe/Zurich", "2027-10-31T00:30:00Z", "02:30 CEST to 02:00 CET"],
    ["Europe/Zurich", "2027-10-31T01:30:00Z", "02:30 CET to 03:00 CET"],
    ["Europe/Zurich", "2027-10-30T23:30:00Z", "01:30 CEST to 02:00 CEST"],
    ["Europe/Zurich", "2027-10-31T00:00:00Z", "02:00 CEST to 02:30 CEST"],
    ["Europe/Zurich", "2027-10-31T02:00:00Z", "03:00 to 03:30"],
    // ... and forward from 02:00 to 03:00.
    ["Europe/Zurich", "2027-03-28T00:30:00Z", "01:30 CET to 03:00 CEST"],
    ["Europe/Zurich", "2027-03-28T01:00:00Z", "03:00 to 03:30"],
    ["Europe/London", "2027-10-31T00:30:00Z", "01:30 BST to 01:00 GMT"],
    ["America/New_York", "2027-11-07T05:30:00Z", "01:30 EDT to 01:00 EST"],
    // Lord Howe goes back by half an hour, from 02:00 to 01:30.
    ["Australia/Lord_Howe", "2027-04-03T14:15:00Z", "01:15 LHDT to 01:45 LHDT"],
    ["Australia/Lord_Howe", "2027-04-03T14:30:00Z", "01:30 LHDT to 01:30 LHST"],
    ["Australia/Lord_Howe", "2027-04-03T15:00:00Z", "01:30 LHST to 02:00 LHST"],
    ["Australia/Lord_Howe", "2027-04-03T15:30:00Z", "02:00 to 02:30"],
    ["Australia/Lord_Howe", "2027-10-02T15:15:00Z", "01:45 LHST to 02:45 LHDT"],
    // Santiago goes back at midnight to 23:00 of the day that is ending, and skips the first hour of another.
    ["America/Santiago", "2027-04-04T02:30:00Z", "23:30 UTC-3 to 23:00 UTC-4"],
    ["America/Santiago", "2027-04-04T03:30:00Z", "23:30 UTC-4 to 00:00 UTC-4"],
    ["America/Santiago", "2026-09-06T03:30:00Z", "23:30 UTC-4 to 01:00 UTC-3"],
    ["UTC", "2027-03-28T01:00:00Z", "01:00 to 01:30"],
  ])("%s %s reads %s", (zone, start, words) => {
    expect(clockRange(start, utc(start) + half, zone)).toBe(words);
  });

  test("a time is marked only where it comes twice", () => {
    expect(clock("2027-10-31T00:30:00Z", "Europe/Zurich")).toBe("02:30 CEST");
    expect(clock("2027-10-31T01:30:00Z", "Europe/Zurich")).toBe("02:30 CET");
    expect(clock("2027-10-31T02:00:00Z", "Europe/Zurich")).toBe("03:00");
    expect(clock("2027-10-30T23:59:00Z", "Europe/Zurich")).toBe("01:59");
    expect(clock("2027-10-30T00:30:00Z", "Europe/Zurich")).toBe("02:30");
    expect(wallClock("2027-10-31T01:30:00Z", "Europe/Zurich")).toBe("02:30");
  });
});

describe("a time that was typed", () => {
  test.each([
    ["Europe/Zurich", "2027-10-31", "02:30", ["2027-10-31T00:30:00.000Z", "2027-10-31T01:30:00.000Z"]],
    ["Europe/Zurich", "2027-10-31", "02:00", ["2027-10-31T00:00:00.000Z", "2027-10-31T01:00:00.000Z"]],
    ["Europe/Zurich", "2027-10-31", "03:00", ["2027-10-31T02:00:00.000Z"]],
    ["Europe/Zurich", "2027-03-28", "02:30", []],
    ["Europe/Zurich", "2027-03-28", "03:00", ["2027-03-28T01:00:00.000Z"]],
    ["Australia/Lord_Howe", "2027-04-04", "01:45", ["2027-04-03T14:45:00.000Z", "2027-04-03T15:15:00.000Z"]],
    ["Australia/Lord_Howe", "2027-10-03", "02:15", []],
    ["America/Santiago", "2027-04-03", "23:30", ["2027-04-04T02:30:00.000Z", "2027-04-04T03:30:00.000Z"]],
    ["America/Santiago", "2026-09-06", "00:30", []],
    ["America/Santiago", "2026-09-06", "01:00", ["2026-09-06T04:00:00.000Z"]],
  ])("%s %s %s", (zone, date, time, want) => {
    expect(moments(date, time, zone).map((t) => new Date(t).toISOString())).toEqual(want);
  });

  test.each([
    ["Europe/Zurich", "2027-10-31"],
    ["Europe/Zurich", "2027-03-28"],
    ["Australia/Lord_Howe", "2027-04-03"],
    ["America/Santiago", "2027-04-04"],
    ["America/Santiago", "2026-09-06"],
    ["America/St_Johns", "2027-11-07"],
    ["Africa/Casablanca", "2027-02-07"], // Ramadan begins
    ["Asia/Kolkata", "2027-10-31"],
  ])("what is shown leads back to the moment that it is of: %s %s", (zone, day) => {
    for (
      let t = utc(`${day}T00:00:00Z`) - 12 * 3600_000;
      t < utc(`${day}T00:00:00Z`) + 20 * 3600_000;
      t += 15 * 60_000
    ) {
      const words = `${zone} ${new Date(t).toISOString()} ${clock(t, zone)}`;
      const found = moments(dateOf(t, zone), wallClock(t, zone), zone);
      expect(found, words).toContain(t);
      expect(clock(t, zone).includes(" "), words).toBe(found.length > 1);
      if (found.length > 1) expect(new Set(found.map((m) => offsetName(m, zone))).size, words).toBe(2);
    }
  });
});

function dateOf(t: number, zone: string): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(
    t,
  );
}
