import { expect, test } from "vitest";
import { emptyWeek, faultOf, minutesOf, nextBlock, readTime, timetableOf, weekOf, withTimetable } from "./week.js";

test("times are read as people type them", () => {
  expect(["8", "08:00", "830", "8.30", "17h", "24", "0:05", "12 15"].map(readTime)).toEqual([
    "08:00",
    "08:00",
    "08:30",
    "08:30",
    "17:00",
    "24:00",
    "00:05",
    "12:15",
  ]);
  expect(["", "25", "24:01", "8:75", "noon", "12345"].map(readTime)).toEqual([
    "",
    "25",
    "24:01",
    "8:75",
    "noon",
    "12345",
  ]);
});

test("the faults of a day are told", () => {
  expect(faultOf([])).toBe("");
  expect(
    faultOf([
      { start: "13:00", end: "24:00" },
      { start: "08:00", end: "13:00" },
    ]),
  ).toBe("");
  expect(faultOf([{ start: "8", end: "12:00" }])).toMatch(/^Enter times/);
  expect(faultOf([{ start: "24:00", end: "24:00" }])).toMatch(/^Enter times/);
  expect(faultOf([{ start: "12:00", end: "12:00" }])).toMatch(/after the start/);
  expect(
    faultOf([
      { start: "08:00", end: "12:00" },
      { start: "11:59", end: "13:00" },
    ]),
  ).toMatch(/overlap/);
});

test("a week is written as it was read", () => {
  const timetable = {
    effective_from: "2028-01-01",
    blocks: [
      { weekday: 1, start: "08:00", end: "12:00" },
      { weekday: 1, start: "13:00", end: "17:00" },
      { weekday: 7, start: "22:00", end: "24:00" },
    ],
  };
  expect(timetableOf("2028-01-01", weekOf(timetable))).toEqual(timetable);
  expect(minutesOf(weekOf(timetable))).toBe(600);
  expect(nextBlock(weekOf(timetable)[1] ?? [])).toEqual({ start: "08:00", end: "12:00" });
});

test("a timetable takes the place of the one it was, or of the one from its date", () => {
  const of = (...dates: string[]) => ({
    time_zone: null,
    exceptions: [],
    timetables: dates.map((d) => timetableOf(d, emptyWeek())),
  });
  const datesOf = (h: { timetables: { effective_from: string }[] }) => h.timetables.map((t) => t.effective_from);
  const june = timetableOf("2028-06-01", emptyWeek());
  expect(datesOf(withTimetable(of("2028-01-01", "2028-09-01"), june))).toEqual([
    "2028-01-01",
    "2028-06-01",
    "2028-09-01",
  ]);
  expect(datesOf(withTimetable(of("2028-01-01", "2028-09-01"), june, "2028-01-01"))).toEqual([
    "2028-06-01",
    "2028-09-01",
  ]);
  expect(withTimetable(of(), june)).not.toHaveProperty("time_zone");
});
