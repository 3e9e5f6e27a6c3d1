// What a test needs of the clinic, made through the API.
import { expect, type Page } from "@playwright/test";

export interface Booked {
  id: number;
  patient_id: number;
  doctor_id: number;
  type_id: number | null;
  room_id: number | null;
  start_time: string;
  duration_minutes: number;
}

export async function send<T = { id: number }>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${process.env.DESK_URL}${path}`, {
    method,
    headers: {
      "X-API-Key": process.env.DESK_KEY ?? "",
      ...(body ? { "Content-Type": method === "PATCH" ? "application/merge-patch+json" : "application/json" } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export interface Registered {
  id: number;
  mrn: string;
}

export const register = (first_name: string, last_name: string, more: object = {}) =>
  send<Registered>("POST", "/patients", { first_name, last_name, ...more });

export async function appointmentsOf(patient: number): Promise<Booked[]> {
  return (await send<{ items: Booked[] }>("GET", `/appointments?patient_id=${patient}`)).items;
}

export async function doctorNamed(name: string): Promise<number> {
  const { items } = await send<{ items: { id: number; full_name: string }[] }>("GET", "/doctors?limit=200");
  const found = items.find((d) => d.full_name === name);
  if (!found) throw new Error(`no doctor ${name}`);
  return found.id;
}

/** Opens the booking dialog at a time of a doctor, by the calendar's cursor. */
export async function openBooking(page: Page, time = "00:00"): Promise<void> {
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog").getByLabel("Patient", { exact: true })).toBeFocused();
  if (time !== "00:00") await page.getByRole("dialog").getByLabel("Time").fill(time);
}

export const patientField = (page: Page) => page.getByRole("dialog").getByLabel("Patient", { exact: true });
/** The patients that a picker shows; a select has options of its own. */
export const options = (page: Page) => page.locator('[role="option"]');
export const bookButton = (page: Page) => page.getByRole("dialog").getByRole("button", { name: /^Book(?! anyway)/ });
export const chip = (page: Page) => page.getByRole("dialog").locator(".chip");

/** Chooses the only patient that a text finds. */
export async function choose(page: Page, text: string): Promise<void> {
  await patientField(page).fill(text);
  await options(page).first().click();
  await expect(chip(page)).toBeVisible();
}
