// Series in words: "every 2 weeks on Tuesday, 6 times".
import { shortDate, weekday } from "./time.js";

/** How often a series repeats, as the desk offers it. */
export type Repeat = "" | "day" | "week" | "two-weeks" | "four-weeks" | "month";

export const repeats: Record<Repeat, string> = {
  "": "Does not repeat",
  day: "Every day",
  week: "Every week",
  "two-weeks": "Every 2 weeks",
  "four-weeks": "Every 4 weeks",
  month: "Every month",
};

/** The contract's bound on the dates of a series. */
export const MAX_DATES = 100;

const codes = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ordinals: Record<string, string> = { 1: "first", 2: "second", 3: "third", 4: "fourth", "-1": "last" };

/** Which one of its weekday in the month a date is: 1 to 4, or -1 for the last. */
function ordinal(date: string): number {
  const nth = Math.ceil(Number(date.slice(8)) / 7);
  return nth > 4 ? -1 : nth;
}

/** Returns the RFC 5545 rule of a series that begins on a date. */
export function ruleOf(repeat: Exclude<Repeat, "">, times: number, date: string): string {
  const day = codes[weekday(date) - 1] ?? "MO";
  const count = `COUNT=${times}`;
  switch (repeat) {
    case "day":
      return `FREQ=DAILY;${count}`;
    case "week":
      return `FREQ=WEEKLY;${count};BYDAY=${day}`;
    case "two-weeks":
      return `FREQ=WEEKLY;INTERVAL=2;${count};BYDAY=${day}`;
    case "four-weeks":
      return `FREQ=WEEKLY;INTERVAL=4;${count};BYDAY=${day}`;
    case "month":
      return `FREQ=MONTHLY;${count};BYDAY=${ordinal(date)}${day}`;
  }
}

function dayWords(code: string): string {
  const [, nth = "", day = ""] = /^([+-]?\d*)([A-Z]{2})$/.exec(code) ?? [];
  const name = days[codes.indexOf(day)] ?? code;
  const which = ordinals[String(Number(nth))];
  return nth && which ? `the ${which} ${name}` : name;
}

/** Returns a rule in words; what the desk does not offer, too. */
export function ruleWords(rule: string): string {
  const parts = new Map(
    rule
      .toUpperCase()
      .split(";")
      .map((p) => p.split("=") as [string, string]),
  );
  const every = Number(parts.get("INTERVAL") ?? 1);
  const unit = { DAILY: "day", WEEKLY: "week", MONTHLY: "month" }[parts.get("FREQ") ?? ""] ?? "time";
  const how = every === 1 ? `Every ${unit}` : `Every ${every} ${unit}s`;
  const on = (parts.get("BYDAY") ?? "").split(",").filter(Boolean).map(dayWords);
  const dates = (parts.get("BYMONTHDAY") ?? "").split(",").filter(Boolean);
  const count = parts.get("COUNT");
  const until = /^(\d{4})(\d\d)(\d\d)/.exec(parts.get("UNTIL") ?? "");
  const end = count ? `${count} times` : until ? `until ${shortDate(until.slice(1).join("-"))} ${until[1]}` : "";
  const when = [on.join(" and "), dates.length ? `day ${dates.join(" and ")}` : ""].filter(Boolean).join(", ");
  return [when ? `${how} on ${when}` : how, end].filter(Boolean).join(", ");
}
