// What is open over the calendar, and what is under way in it.
import type { Appointment, Override, Problem } from "mems-client";
import { calendar } from "./calendar.svelte.js";
import { type Draft, type Move, newDraft } from "./draft.js";
import type { Person } from "./person.js";
import type { View } from "./read.js";

/** A reschedule that was refused, with what is free instead. */
export interface Refusal {
  visit: Appointment;
  problem: Problem;
  to: Move;
  broken: readonly Override["rules"][number][];
}

/** What the card of an appointment shows: the appointment, or a change to be entered. */
export type CardMode = "show" | "cancel" | "move" | "texts";

class Ui {
  /** The booking dialog is open with this draft. */
  draft = $state.raw<Draft>();
  /** What is known of a booking for which a time is still being looked for. */
  pending = $state.raw<Partial<Draft>>();
  /** The appointment whose card is open. */
  open = $state<number>();
  /** What its card begins with. */
  openMode: CardMode = "show";
  /** The patient whose record is open beside the calendar, with the record unless it is still to be read. */
  patient = $state.raw<{ id: number; record?: Person }>();
  /** The appointment for which another time is being chosen in the calendar. */
  moving = $state.raw<Appointment>();
  refused = $state.raw<Refusal>();
  /** A walk-in is being taken, with this doctor unless 0. */
  walkIn = $state<number>();

  /** Opens the booking dialog at a time, for whom and what a time is being looked for. */
  bookAt(slot: Pick<Draft, "doctor" | "start"> & Partial<Draft>): void {
    this.draft = newDraft({ ...this.pending, ...slot });
  }

  /** Opens an appointment's card at a change. */
  openTo(id: number, mode: CardMode): void {
    this.openMode = mode;
    this.open = id;
  }

  /** Looks for another time for a draft, in the calendar or among the free times. */
  seek(draft: Partial<Draft>, view: View = calendar.view): void {
    const { start: _, ...rest } = draft;
    this.pending = rest;
    this.draft = undefined;
    calendar.show(view);
  }

  /** Closes everything, and forgets what was under way. */
  clear(): void {
    this.draft = this.pending = this.open = this.patient = this.moving = this.refused = this.walkIn = undefined;
  }
}

export const ui = new Ui();
