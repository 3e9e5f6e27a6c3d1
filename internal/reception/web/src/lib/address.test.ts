import { describe, expect, test } from "vitest";
import { addressOf, isDate, readAddress, titleOf } from "./address.js";

const read = (address: string) => {
  const { pathname, search } = new URL(address, "http://clinic");
  return readAddress(pathname, search);
};

describe("an address", () => {
  test.each([
    "/reception/day/2026-11-27",
    "/reception/day/2026-11-27?doctors=3,1",
    "/reception/day/2026-11-27?doctors=",
    "/reception/day/2026-11-27?doctors=1&appointment=7",
    "/reception/week/2026-11-27?doctor=4&patient=9",
    "/reception/check-in/2026-11-27",
    "/reception/check-in/2026-11-27?doctor=4",
    "/reception/find",
    "/reception/find?doctor=2&type=3&minutes=45&from=2026-12-01&days=7&part=am",
    "/reception/settings/doctors",
    "/reception/settings/rooms",
    "/reception/settings/doctors/12?patient=9",
    "/reception/find?specialization=Ear,+nose+%26+throat&days=28",
  ])("%s is written as it was read", (address) => {
    const { route, fault } = read(address);
    expect(fault).toBe("");
    expect(addressOf(route)).toBe(address);
  });

  test("without a date or a view is the day, and names none", () => {
    for (const address of ["/reception/", "/reception/day", "/reception/day/"])
      expect(read(address)).toEqual({
        route: expect.objectContaining({ view: "day", date: "" }) as unknown,
        fault: "",
      });
  });

  test.each([
    ["/reception/month/2026-11", "page"],
    ["/reception/index.html", "page"],
    ["/reception/find/2026-11-27", "page"],
    ["/reception/day/2026-11-27/1", "page"],
    ["/reception/toString", "page"],
    ["/reception/settings/toString", "page"],
    ["/reception/settings/doctors/0", "page"],
    ["/reception/settings/rooms/1", "page"],
    ["/reception/settings/doctors/1/hours", "page"],
    ["/reception/day/2026-02-29", "date"],
    ["/reception/day/27.11.2026", "date"],
    ["/reception/day/0026-11-27", "date"],
    ["/reception/day/9999-12-31", "date"],
    ["/reception/day/2026-02-30?appointment=7", "date"],
    ["/reception/day/2026-11-27?doctors=1,,2", "parameter"],
    ["/reception/week/2026-11-27?doctor=0", "parameter"],
    ["/reception/day/2026-11-27?patient=Muster", "parameter"],
    ["/reception/day/2026-11-27?appointment=1e3", "parameter"],
    ["/reception/find?minutes=5", "parameter"],
    ["/reception/find?days=2", "parameter"],
    ["/reception/find?part=night", "parameter"],
  ])("%s is told from a valid one", (address, fault) => {
    expect(read(address).fault).toBe(fault);
    expect(read(addressOf({ ...read(address).route, date: "2026-11-27" })).fault).toBe("");
  });

  test("names a day that the calendar can show", () => {
    expect(["1901-01-01", "2028-02-29", "9997-12-31"].map(isDate)).toEqual([true, true, true]);
    expect(["1900-12-31", "9998-01-01", "2027-02-29", "2027-13-01", "2027-1-1", ""].some(isDate)).toBe(false);
  });
});

test("a title says view and date", () => {
  const route = { date: "2027-12-30", doctor: 1, find: {} };
  const titles = (["day", "week", "board", "find", "settings"] as const).map((view) =>
    titleOf({ ...route, view }, "Dr. Roth"),
  );
  expect(titles.map((t) => t.replaceAll(/(\w{3}),? (\d)/g, "$1 $2"))).toEqual([
    "Thu 30 Dec 2027 · Day · Dr. Roth · Reception",
    "Mon 27 Dec to Sun 2 Jan 2028 · Week · Dr. Roth · Reception",
    "Thu 30 Dec 2027 · Check-in · Dr. Roth · Reception",
    "Find a time · Dr. Roth · Reception",
    "Dr. Roth · Settings · Reception",
  ]);
});
