// Birth dates as the viewer writes and reads them, which is by the language of
// the browser; the server takes and gives YYYY-MM-DD.

import { folded } from "./words.js";

const viewer = (): string => (typeof navigator === "undefined" ? "en-GB" : navigator.language);
const plain = { calendar: "gregory", numberingSystem: "latn", timeZone: "UTC" } as const;

/** "3 Feb 1980" in the viewer's language. The month is a word: 03/02 is two different days. */
export function shownBirthDate(iso: string, locale = viewer()): string {
  const format = new Intl.DateTimeFormat(locale, { ...plain, day: "numeric", month: "short", year: "numeric" });
  return format.format(new Date(`${iso}T12:00:00Z`));
}

/**
 * Reads a whole birth date: YYYY-MM-DD in any language, or day, month and year
 * in the viewer's order, the month as a number or a word. Undefined when the
 * text is not a possible date of birth.
 */
export function readBirthDate(text: string, today: string, locale = viewer()): string | undefined {
  const parts = text
    .trim()
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((p) => p && !/^(de|of)$/i.test(p));
  const [one, two, three] = parts;
  if (parts.length !== 3 || !one || !two || !three) return undefined;
  if (/^\d{4}$/.test(one)) return day(one, two, three, today, locale);
  const word = [one, two].findIndex((p) => monthOf(p, locale));
  if (word >= 0) return day(three, word ? two : one, word ? one : two, today, locale);
  const [d, m] = dayFirst(locale) ? [one, two] : [two, one];
  // 25/12 is Christmas in every language.
  return day(three, m, d, today, locale) ?? day(three, d, m, today, locale);
}

/**
 * The text with a birth date in the viewer's form as YYYY-MM-DD: "Haddad 17/03/1984"
 * becomes "Haddad 1984-03-17". Numbers beside others count as a date only when they
 * are all of the text: "044 12 11 79" is a phone number.
 */
export function withIsoDate(text: string, today: string, locale = viewer()): string {
  const whole = readBirthDate(text, today, locale);
  if (whole) return whole;
  const words = text.trim().split(/\s+/u);
  for (let length = Math.min(words.length, 5); length > 0; length--) {
    for (let i = 0; i + length <= words.length; i++) {
      const part = words.slice(i, i + length).join(" ");
      const iso = /^[\d\s]+$/.test(part) ? undefined : readBirthDate(part, today, locale);
      if (iso) return [...words.slice(0, i), iso, ...words.slice(i + length)].join(" ");
    }
  }
  return text;
}

function day(year: string, month: string, date: string, today: string, locale: string): string | undefined {
  const y = fullYear(year, today);
  const m = /^\d{1,2}$/.test(month) ? Number(month) : monthOf(month, locale);
  if (!y || !m || m > 12 || !/^\d{1,2}$/.test(date)) return undefined;
  const iso = `${y}-${String(m).padStart(2, "0")}-${date.padStart(2, "0")}`;
  const at = new Date(`${iso}T12:00:00Z`);
  // Some engines read 30 February as 2 March.
  if (Number.isNaN(at.getTime()) || at.toISOString().slice(0, 10) !== iso) return undefined;
  return iso <= today && y >= 1900 ? iso : undefined;
}

// "80" is 1980, and "12" is 2012: the last year of that ending that has begun.
function fullYear(year: string, today: string): number | undefined {
  if (/^\d{4}$/.test(year)) return Number(year);
  if (!/^\d{2}$/.test(year)) return undefined;
  const now = Number(today.slice(0, 4));
  const same = now - (now % 100) + Number(year);
  return same > now ? same - 100 : same;
}

function dayFirst(locale: string): boolean {
  const order = new Intl.DateTimeFormat(locale, { ...plain, day: "numeric", month: "numeric", year: "numeric" })
    .formatToParts(0)
    .map((p) => p.type);
  return order.indexOf("day") < order.indexOf("month");
}

// A month by its name or the beginning of it, in the viewer's language or in English.
function monthOf(text: string, locale: string): number | undefined {
  if (!/^\p{L}{3}/u.test(text)) return undefined;
  for (const language of [locale, "en"]) {
    const long = new Intl.DateTimeFormat(language, { ...plain, month: "long" });
    for (let m = 0; m < 12; m++) if (folded(long.format(Date.UTC(2000, m, 15))).startsWith(folded(text))) return m + 1;
  }
  return undefined;
}
