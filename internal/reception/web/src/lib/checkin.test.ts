import { expect, test } from "vitest";
import { checkInClosed } from "./checkin.js";
import { shortDate } from "./time.js";

const zone = "Europe/Zurich";
const a = (start: string) => ({ start_time: start, end_time: new Date(Date.parse(start) + 30 * 60_000).toISOString() });

test.each([
  ["the day itself", "2027-06-01T07:00:00Z", "2027-05-31T22:00:00Z", ""],
  ["late in the day itself", "2027-06-01T07:00:00Z", "2027-06-01T21:59:00Z", ""],
  ["the evening before", "2027-06-01T07:00:00Z", "2027-05-31T21:59:00Z", "Check-in opens tomorrow."],
  ["days before", "2027-06-01T07:00:00Z", "2027-05-28T10:00:00Z", `Check-in opens on ${shortDate("2027-06-01")}.`],
  ["four hours before, over midnight", "2027-05-31T23:00:00Z", "2027-05-31T19:00:00Z", ""], // 01:00, at 21:00
  ["more than four hours before", "2027-05-31T23:00:00Z", "2027-05-31T18:59:00Z", "Check-in opens today at 21:00."],
  ["after midnight, for one that has just ended", "2027-06-01T21:00:00Z", "2027-06-01T23:00:00Z", ""],
  ["the day after", "2027-06-01T07:00:00Z", "2027-06-01T22:00:00Z", "The day of this appointment is over."],
  ["a day with 25 hours", "2027-10-31T22:00:00Z", "2027-10-30T22:00:00Z", ""],
])("%s", (_, start, now, want) => {
  expect(checkInClosed(a(start), Date.parse(now), zone)).toBe(want);
});
