// Appointments that are made and read through the API, as somebody elsewhere would.
import type { Page } from "@playwright/test";

import { send } from "./clinic.js";

export const api = send;

export interface Booked {
  id: number;
  start_time: string;
  status: string;
  doctor_id: number;
}

export const booked = (id: number) => api<Booked>("GET", `/appointments/${id}`);

/** An appointment of half an hour with the first doctor of the desk's tests. */
export function appointment(start_time: string, patient_id = 1, doctor_id = 1): Promise<Booked> {
  return api<Booked>("POST", "/appointments", { patient_id, doctor_id, start_time, duration_minutes: 30 });
}

/** Counts the requests of a page from now on that change something. */
export function changes(page: Page): string[] {
  const sent: string[] = [];
  page.on("request", (r) => r.method() !== "GET" && sent.push(`${r.method()} ${new URL(r.url()).pathname}`));
  return sent;
}
