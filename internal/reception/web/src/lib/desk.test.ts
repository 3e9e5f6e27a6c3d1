import { describe, expect, test } from "vitest";
import { lanes, outside, worksOn } from "./hours.js";
import { addDays, at, clock, dayWindow, hours, minutes, monday } from "./time.js";

const HOUR = 3600_000;
const utc = (s: string) => Date.parse(s);

describe("days", () => {
  test.each([
    ["Europe/Zurich", "2027-03-28", 23],
    ["Europe/Zurich", "2027-10-31", 25],
    ["Europe/Zurich", "2027-03-01", 24],
    ["Australia/Lord_Howe", "2027-04-04", 24.5],
    ["Australia/Lord_Howe", "2027-10-03", 23.5],
    ["America/Santiago", "2026-09-06", 23], // has no midnight
  ])("%s %s has %d hours", (zone, date, length) => {
    const { start, end } = dayWindow(date, zone);
    expect((end - start) / HOUR).toBe(length);
  });

  test("an hour that comes twice says which one it is", () => {
    const { start, end } = dayWindow("2027-10-31", "Europe/Zurich");
    const labels = hours(start, end, "Europe/Zurich").map((h) => h.label);
    expect(labels).toHaveLength(25);
    expect(labels.slice(1, 5)).toEqual(["01:00", "02:00 CEST", "02:00 CET", "03:00"]);
  });

  test("weeks begin on Monday, across years and leap days", () => {
    expect(monday("2027-01-03")).toBe("2026-12-28");
    expect(monday("2027-01-04")).toBe("2027-01-04");
    expect(addDays("2028-02-28", 1)).toBe("2028-02-29");
  });

  test("24:00 is the next midnight", () => {
    expect(at("2027-03-27", "24:00", "Europe/Zurich")).toBe(utc("2027-03-27T23:00:00Z"));
    expect(clock(at("2027-03-28", "03:30", "Europe/Zurich"), "Europe/Zurich")).toBe("03:30");
  });

  test("lengths in words", () => {
    expect([15, 60, 80, 0].map(minutes)).toEqual(["15 min", "1 h", "1 h 20 min", "0 min"]);
  });
});

describe("working hours", () => {
  const timetables = [
    { effective_from: "2027-01-01", blocks: [{ weekday: 1, start: "08:00", end: "12:00" }] },
    { effective_from: "2027-03-08", blocks: [{ weekday: 1, start: "09:00", end: "24:00" }] },
  ];
  const exceptions = [{ date: "2027-03-15", blocks: [] }];

  test("the newest timetable that is in effect holds, unless the date has its own", () => {
    const on = (date: string) => worksOn({ timetables, exceptions, time_zone: null }, date, "UTC");
    expect(on("2027-03-01")).toEqual([{ start: utc("2027-03-01T08:00:00Z"), end: utc("2027-03-01T12:00:00Z") }]);
    expect(on("2027-03-08")).toEqual([{ start: utc("2027-03-08T09:00:00Z"), end: utc("2027-03-09T00:00:00Z") }]);
    expect(on("2027-03-15")).toEqual([]);
    expect(on("2027-03-02")).toEqual([]);
    expect(on("2026-12-28")).toEqual([]);
  });

  test("without any, every time can be booked", () => {
    expect(worksOn({ timetables: [], exceptions: [], time_zone: null }, "2027-03-01", "UTC")).toBeUndefined();
  });

  test("a doctor's own zone counts", () => {
    const [block] =
      worksOn({ timetables, exceptions, time_zone: "America/New_York" }, "2027-03-01", "Europe/Zurich") ?? [];
    expect(block?.start).toBe(utc("2027-03-01T13:00:00Z"));
  });

  test("what lies outside", () => {
    expect(
      outside(
        [
          { start: 2, end: 4 },
          { start: 6, end: 9 },
        ],
        { start: 0, end: 10 },
      ),
    ).toEqual([
      { start: 0, end: 2 },
      { start: 4, end: 6 },
      { start: 9, end: 10 },
    ]);
    expect(outside([], { start: 0, end: 10 })).toEqual([{ start: 0, end: 10 }]);
  });
});

test("what overlaps stands side by side", () => {
  const [a, b, c, d] = [
    { start: 0, end: 4 },
    { start: 2, end: 6 },
    { start: 4, end: 8 },
    { start: 8, end: 9 },
  ] as const;
  const placed = lanes([a, b, c, d]);
  expect(placed.get(a)).toEqual({ lane: 0, of: 2 });
  expect(placed.get(b)).toEqual({ lane: 1, of: 2 });
  expect(placed.get(c)).toEqual({ lane: 0, of: 2 });
  expect(placed.get(d)).toEqual({ lane: 0, of: 1 });
});
