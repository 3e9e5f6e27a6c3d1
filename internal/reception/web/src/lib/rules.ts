// The clinic's rules that the desk knows, so that it offers nothing that the server refuses.
import { type AppointmentStatus, bounds } from "mems-client";

/** How long an appointment may be, in minutes. */
export const { minimum: MIN_MINUTES, maximum: MAX_MINUTES } = bounds.appointmentCreate.duration_minutes;

/** States before the patient arrives: what can still be rescheduled, cancelled or checked in. */
export const upcoming: readonly AppointmentStatus[] = ["scheduled", "confirmed"];
