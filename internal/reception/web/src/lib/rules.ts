// The clinic's rules that the desk knows, so that it offers nothing that the server refuses.
import type { AppointmentStatus } from "mems-client";

/** How long an appointment may be, in minutes; the contract's bounds of duration_minutes. */
export const MIN_MINUTES = 15;
export const MAX_MINUTES = 180;

/** States before the patient arrives: what can still be rescheduled, cancelled or checked in. */
export const upcoming: readonly AppointmentStatus[] = ["scheduled", "confirmed"];
