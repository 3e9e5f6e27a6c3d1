import { expect, test } from "vitest";
import { ruleOf, ruleWords } from "./recurrence.js";

test("a rule names the weekday of the first date, and is read back in words", () => {
  // 2 March 2027 is a Tuesday, the 31st a Wednesday.
  for (const [repeat, times, date, rule, words] of [
    ["day", 5, "2027-03-02", "FREQ=DAILY;COUNT=5", "Every day, 5 times"],
    ["week", 6, "2027-03-02", "FREQ=WEEKLY;COUNT=6;BYDAY=TU", "Every week on Tuesday, 6 times"],
    ["two-weeks", 3, "2027-03-07", "FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=SU", "Every 2 weeks on Sunday, 3 times"],
    ["four-weeks", 2, "2027-03-02", "FREQ=WEEKLY;INTERVAL=4;COUNT=2;BYDAY=TU", "Every 4 weeks on Tuesday, 2 times"],
    ["month", 4, "2027-03-09", "FREQ=MONTHLY;COUNT=4;BYDAY=2TU", "Every month on the second Tuesday, 4 times"],
    ["month", 4, "2027-03-31", "FREQ=MONTHLY;COUNT=4;BYDAY=-1WE", "Every month on the last Wednesday, 4 times"],
  ] as const) {
    expect(ruleOf(repeat, times, date)).toBe(rule);
    expect(ruleWords(rule)).toBe(words);
  }
});

test("rules of other programs are put in words, too", () => {
  expect(ruleWords("FREQ=WEEKLY;UNTIL=20270601T000000Z;BYDAY=MO,TH")).toMatch(
    /^Every week on Monday and Thursday, until Tue,? 1 Jun 2027$/,
  );
  expect(ruleWords("FREQ=MONTHLY;COUNT=3;BYMONTHDAY=15")).toBe("Every month on day 15, 3 times");
});
