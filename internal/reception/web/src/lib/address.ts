// The addresses of the desk's views, read and written. They are kept by the browser and sent to others, so they
// name patients and appointments by id alone.
import type { View } from "./read.js";
import { MAX_MINUTES, MIN_MINUTES } from "./rules.js";
import { addDays, monday, shortDate } from "./time.js";

export const BASE = "/reception/";

const paths: Record<View, string> = {
  day: "day",
  week: "week",
  board: "check-in",
  find: "find",
  settings: "settings",
};

export const titles: Record<View, string> = {
  day: "Day",
  week: "Week",
  board: "Check-in",
  find: "Find a time",
  settings: "Settings",
};

/** Reports whether a view shows a day, or days, of the calendar. */
export function isDated(view: View): boolean {
  return view !== "find" && view !== "settings";
}

/** The pages of the settings, as addresses name them. */
export const sections = { doctors: "Doctors", rooms: "Rooms" } as const;

/** A page of the settings: a list, or one record of it. */
export interface Page {
  section: keyof typeof sections;
  id?: number | undefined;
}

/** How many days ahead free times are looked for. */
export const SPANS = [1, 3, 7, 14, 28];

/** What free times are looked for; what is missing is as the view begins. */
export interface Criteria {
  doctor?: number;
  specialization?: string;
  type?: number;
  minutes?: number;
  from?: string;
  days?: number;
  part?: "am" | "pm";
}

/** What the desk shows, as an address says it. */
export interface Route {
  view: View;
  /** The day, or one of the week; "" if the address names none. */
  date: string;
  /** The doctor of the week, or the only one on the check-in board; 0: the first one, or all. */
  doctor: number;
  /** The doctors with a column in the day; undefined: not said. */
  doctors?: number[] | undefined;
  find: Criteria;
  /** The page of the settings. */
  settings?: Page | undefined;
  /** The appointment and the patient that are open over the view. */
  appointment?: number | undefined;
  patient?: number | undefined;
}

/** Reports whether a text is a day that the calendar can show. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text < "1901" || text >= "9998") return false;
  const day = new Date(`${text}T12:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text); // some engines read 30 February
}

/** What of an address means nothing: the page, its date, or a parameter, without which the rest is shown. */
export type Fault = "" | "page" | "date" | "parameter";

/** Reads an address. Where there is no page or date, the route leads to today. */
export function readAddress(path: string, search: string): { route: Route; fault: Fault } {
  const [segment = "", day = "", ...more] = path.slice(BASE.length).replace(/\/$/, "").split("/");
  const view = (Object.keys(paths) as View[]).find((v) => paths[v] === segment);
  const route: Route = { view: view ?? "day", date: "", doctor: 0, find: {} };
  if (view === "settings") route.settings = settingsPage([day, ...more]);
  if ((segment && !view) || (view === "settings" ? !route.settings : more.length > 0 || (view === "find" && day)))
    return { route: { ...route, view: "day" }, fault: "page" };
  if (view !== "settings" && day && !isDate(day)) return { route, fault: "date" };
  const q = new Query(search);
  if (view === "find") route.find = criteria(q);
  else if (view === "week" || view === "board") route.doctor = q.id("doctor") ?? 0;
  else if (view !== "settings") route.doctors = q.ids("doctors");
  route.appointment = q.id("appointment");
  route.patient = route.appointment ? undefined : q.id("patient");
  route.date = isDated(route.view) ? day : "";
  return { route, fault: q.valid ? "" : "parameter" };
}

/** Writes an address: the same for the same contents. */
export function addressOf(r: Route): string {
  const q = new URLSearchParams();
  const add = (name: string, value: string | number | undefined) => value && q.set(name, String(value));
  if (r.view === "day" && r.doctors) q.set("doctors", r.doctors.join(","));
  if (r.view === "week" || r.view === "board") add("doctor", r.doctor);
  if (r.view === "find") for (const [name, value] of Object.entries(r.find)) add(name, value as string | number);
  add("appointment", r.appointment);
  add("patient", r.appointment ? undefined : r.patient);
  const query = q.toString().replaceAll("%2C", ",");
  const { section = "doctors", id } = r.settings ?? {};
  const below = r.view === "settings" ? `/${section}${id ? `/${id}` : ""}` : isDated(r.view) ? `/${r.date}` : "";
  return `${BASE}${paths[r.view]}${below}${query && `?${query}`}`;
}

/** Reads what an address has after "settings"; without anything it is the first page. */
function settingsPage([section = "", id = "", ...more]: string[]): Page | undefined {
  if (!section) return { section: "doctors" };
  if (!Object.hasOwn(sections, section) || more.length > 0 || (id && (section !== "doctors" || !isId(id))))
    return undefined;
  return { section: section as Page["section"], ...(id ? { id: Number(id) } : {}) };
}

/**
 * Writes the window's title; name is the doctor's, or the record's of the settings. Titles are kept with
 * addresses, so a patient's name is in neither.
 */
export function titleOf(r: Route, name: string): string {
  const dated = (date: string) => `${shortDate(date)} ${date.slice(0, 4)}`;
  const first = r.view === "week" ? monday(r.date) : r.date;
  const when = {
    day: dated,
    board: dated,
    week: () => `${shortDate(first)} to ${dated(addDays(first, 6))}`,
    find: null,
    settings: () => name || sections[r.settings?.section ?? "doctors"],
  };
  const parts = [when[r.view]?.(first) ?? "", titles[r.view], r.view === "settings" ? "" : name, "Reception"];
  return parts.filter(Boolean).join(" · ");
}

function criteria(q: Query): Criteria {
  const found: Criteria = {};
  const doctor = q.id("doctor");
  const specialization = doctor ? "" : q.text("specialization", (t) => t.length <= 100);
  const type = q.id("type");
  const minutes = Number(q.text("minutes", (t) => inRange(Number(t))));
  const from = q.text("from", isDate);
  const days = Number(q.text("days", (t) => SPANS.includes(Number(t))));
  const part = q.text("part", (t) => t === "am" || t === "pm") as "" | "am" | "pm";
  if (doctor) found.doctor = doctor;
  if (specialization) found.specialization = specialization;
  if (type) found.type = type;
  if (minutes) found.minutes = minutes;
  if (from) found.from = from;
  if (days) found.days = days;
  if (part) found.part = part;
  return found;
}

const inRange = (n: number) => Number.isInteger(n) && n >= MIN_MINUTES && n <= MAX_MINUTES;

/** Parameters of an address, which anybody can write: what is not valid counts as missing. */
class Query {
  valid = true;
  private params: URLSearchParams;

  constructor(search: string) {
    this.params = new URLSearchParams(search);
  }

  text(name: string, holds: (text: string) => boolean): string {
    const value = this.params.get(name);
    if (!value) return "";
    if (holds(value)) return value;
    this.valid = false;
    return "";
  }

  id(name: string): number | undefined {
    return Number(this.text(name, isId)) || undefined;
  }

  /** An empty list is a list; undefined: there is none, or it is not valid. */
  ids(name: string): number[] | undefined {
    const value = this.params.get(name);
    if (value === null) return undefined;
    const parts = value ? value.split(",") : [];
    if (parts.every(isId)) return parts.map(Number);
    this.valid = false;
    return undefined;
  }
}

const isId = (text: string) => /^[1-9]\d{0,14}$/.test(text);
