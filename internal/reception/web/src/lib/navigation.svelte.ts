// Keeps the window's address at what is shown, and shows what an address names: when the desk is opened, and
// when the user goes back or forward.
import { untrack } from "svelte";
import { addressOf, isDated, type Page, readAddress, type Route, titleOf } from "./address.js";
import { calendar } from "./calendar.svelte.js";
import { directory } from "./directory.svelte.js";
import type { View } from "./read.js";
import { session } from "./session.svelte.js";
import { dateAt } from "./time.js";
import { toasts } from "./toasts.svelte.js";
import { ui } from "./ui.svelte.js";

/** What is kept with an entry of the browser's history: whether it only adds a dialog to the one before. */
interface Entry {
  over: boolean;
}

const entry = () => history.state as Entry | null;
const here = () => location.pathname + location.search;
const dialogOf = (r: Route) => r.appointment ?? r.patient;
const below = (r: Route) => addressOf({ ...r, appointment: undefined, patient: undefined });
const same = (a: Route, b: Route) =>
  a.view === b.view &&
  a.date === b.date &&
  (a.view !== "week" || a.doctor === b.doctor) &&
  a.settings?.section === b.settings?.section &&
  a.settings?.id === b.settings?.id;

/** Said when a part of an address means nothing, or nothing any more. */
const PARTLY = "Part of this address is not valid and was left out.";

class Navigation {
  /** What the current entry of the history shows; undefined: the window came to it by itself. */
  private route: Route | undefined;
  private burst = 0;
  /** The window is on its way back from a dialog that was closed. */
  private leaving = false;

  constructor() {
    history.scrollRestoration = "manual";
    addEventListener("popstate", () => this.arrive());
  }

  /** Shows what the window's address names. Call it when the doctors are known. */
  open(): void {
    const { route, fault } = readAddress(location.pathname, location.search);
    this.route = undefined;
    const complete = this.show(route);
    if (fault === "page" || fault === "date") calendar.nowhere = fault;
    else if (fault || !complete) toasts.warn(PARTLY);
  }

  /** The address of another view, of the day that is shown. */
  addressOf(view: View): string {
    const doctor = view === "week" ? calendar.doctor : view === "board" ? calendar.boardDoctor : 0;
    const settings = undefined;
    return addressOf({ ...shown(), view, doctor, find: {}, settings, appointment: undefined, patient: undefined });
  }

  /** The address of a page of the settings. */
  settingsAddress(page: Page): string {
    return addressOf({ view: "settings", date: "", doctor: 0, find: {}, settings: page });
  }

  /** Writes address and title. Call it in an effect: it reads what they depend on. */
  write(): void {
    if (session.phase !== "ready") {
      document.title = session.phase === "signed-out" ? "Sign in · Reception" : "Reception";
      return;
    }
    if (calendar.nowhere) {
      document.title = "Page not found · Reception";
      return; // with the address that was asked for
    }
    const route = shown();
    const named = route.view === "week" || (route.view === "board" && route.doctor);
    const doctor = named ? route.doctor : route.settings?.section === "doctors" ? route.settings.id : undefined;
    document.title = titleOf(route, doctor ? directory.doctorName(doctor) : "");
    // A burst of steps is one entry, written at its end: browsers refuse hundreds.
    if (!calendar.settling) untrack(() => this.keep(route));
  }

  /** Takes the dialogs out of the address, for the user who signs in next. */
  closeDialogs(): void {
    history.replaceState(entry(), "", below(shown()));
  }

  // The window stands at another entry of the history.
  private arrive(): void {
    if (session.phase !== "ready") return;
    if (!this.leaving && !calendar.nowhere && addressOf(shown()) === here()) return; // within the page
    if (this.leaving && this.route) {
      this.leaving = false;
      this.route = { ...this.route, appointment: undefined, patient: undefined };
    } else this.open();
    this.keep(shown());
  }

  private keep(route: Route): void {
    if (this.leaving || calendar.nowhere) return;
    const was = this.route;
    const burst = this.burst;
    this.route = route;
    this.burst = calendar.burst;
    const address = addressOf(route);
    if (!was) this.replace(address, entry()?.over);
    else if (address === here()) return;
    else if (!same(was, route)) {
      if (burst === calendar.burst) this.replace(address);
      else history.pushState({ over: false } satisfies Entry, "", address);
    } else if (dialogOf(route) && !dialogOf(was) && below(was) === below(route))
      history.pushState({ over: true } satisfies Entry, "", address);
    else if (!dialogOf(route) && dialogOf(was) && entry()?.over) {
      this.leaving = true;
      this.route = was;
      history.back();
    } else this.replace(address, entry()?.over);
  }

  private replace(address: string, over = false): void {
    history.replaceState({ over } satisfies Entry, "", address);
  }

  /** Reports whether all that the route names is there. */
  private show(route: Route): boolean {
    const known = (id: number) => directory.doctors.some((d) => d.id === id);
    const { view, find, settings } = route;
    const date = route.date || (!isDated(view) && calendar.date ? calendar.date : dateAt(Date.now(), session.zone));
    const doctors = route.doctors?.filter(known);
    if (doctors && (doctors.length > 0 || !route.doctors?.length)) directory.showOnly(doctors);
    // An address of ours without doctors means all of them; another one, those that this desk shows.
    else if (view === "day" && entry()) directory.showOnly(directory.doctors.map((d) => d.id));
    const doctor = known(route.doctor) ? route.doctor : 0;
    calendar.open({ view, date, doctor, find, settings });
    ui.open = route.appointment;
    if (ui.patient?.id !== route.patient) ui.patient = route.patient ? { id: route.patient } : undefined;
    return directory.doctors.length === 0 || (doctors?.length === route.doctors?.length && doctor === route.doctor);
  }
}

function shown(): Route {
  const { view, date } = calendar;
  const all = directory.shown.length === directory.doctors.length;
  return {
    view,
    date,
    doctor: view === "week" ? calendar.doctor : view === "board" ? calendar.boardDoctor : 0,
    doctors: view === "day" && !all ? directory.shown.map((d) => d.id) : undefined,
    find: view === "find" ? calendar.find : {},
    settings: view === "settings" ? calendar.settings : undefined,
    appointment: ui.open,
    patient: ui.patient?.id,
  };
}

export const navigation = new Navigation();
