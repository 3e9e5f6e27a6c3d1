// What an appointment is for, and what staff should know: entered, shown, changed, printed.
import { expect, type Page, test } from "@playwright/test";

import { appointmentsOf, openBooking, options, register, send } from "./clinic.js";
import { desk, looks, visits } from "./page.js";

const date = "2028-05-16";
let patient = 0;

test.beforeAll(async () => {
  const { items } = await send<{ items: { id: number }[] }>("GET", "/patients?q=Grundmann");
  patient =
    items[0]?.id ??
    (await register("Vera", "Grundmann", { birth_date: "1966-06-06", phone: "+41 (0)44 555 01 31" })).id;
});

const dialog = (page: Page) => page.getByRole("dialog");

test("a reason and a note are entered by keyboard, and shown wherever the appointment is", async ({ browser }) => {
  const page = await desk(browser, date);
  await openBooking(page);
  await page.keyboard.type("Grundmann", { delay: 20 });
  await expect(options(page).first()).toContainText("Grundmann");
  await page.keyboard.press("Enter");
  await dialog(page).getByLabel("Reason").focus();
  await page.keyboard.type("Knee pain since Monday");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Needs an interpreter");
  await expect(dialog(page).getByLabel("Note")).toHaveValue("Needs an interpreter");
  await expect(dialog(page).getByLabel("Reason")).toHaveAttribute("maxlength", "200");
  await looks(page, "texts-booking-light");
  await page.keyboard.press("Enter");
  await expect(dialog(page)).toHaveCount(0);
  await expect(visits(page)).toContainText(["Knee pain since Monday"]);
  await expect(visits(page).first()).toHaveAccessibleName(/Knee pain since Monday, note: Needs an interpreter$/);
  await looks(page, "texts-day-light");
  await expect(page.locator(".paper")).toContainText("Knee pain since Monday · Needs an interpreter");
  await page.keyboard.press("q");
  await expect(page.getByRole("region", { name: "Expected" })).toContainText("Knee pain since Monday · Needs an");
  // On the board the name is not cut.
  const who = page.getByRole("region", { name: "Expected" }).locator(".who");
  expect(await who.evaluate((e) => e.scrollWidth <= e.clientWidth)).toBe(true);
  await looks(page, "texts-board-light");
});

test("they are changed on the card, not over what somebody else wrote meanwhile, and taken back", async ({
  browser,
}) => {
  const page = await desk(browser, date, { colorScheme: "dark", answers: /status of 412/ });
  await visits(page).first().click();
  await expect(dialog(page)).toContainText("Needs an interpreter");
  const phone = dialog(page).getByRole("link", { name: "+41 (0)44 555 01 31" });
  await expect(phone).toHaveAttribute("href", "tel:+41445550131");
  await looks(page, "texts-card-dark");
  await dialog(page).getByRole("button", { name: "Edit …" }).click();
  await dialog(page).getByLabel("Note").fill("Interpreter is booked");
  const id = (await appointmentsOf(patient))[0]?.id ?? 0;
  await send("PATCH", `/appointments/${id}`, { note: "Speaks Dari" });
  await expect(dialog(page)).toContainText("Speaks Dari");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page).getByRole("alert")).toContainText("changed meanwhile");
  await expect(dialog(page).getByLabel("Note")).toHaveValue("Interpreter is booked");
  await looks(page, "texts-edit-dark");
  await page.setViewportSize({ width: 390, height: 844 });
  await looks(page, "texts-edit-narrow-dark");
  await page.setViewportSize({ width: 1280, height: 800 });
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page).locator(".facts")).toContainText("Interpreter is booked");
  await page.keyboard.press("Escape");
  await page.locator(".toasts").getByRole("button", { name: "Undo" }).click();
  await expect(visits(page).first()).toHaveAccessibleName(/note: Speaks Dari$/);
});

test("the note of a walk-in is on the board", async ({ browser }) => {
  const page = await desk(browser, date);
  const doctors = await send<{ items: { id: number; full_name: string }[] }>("GET", "/doctors?limit=200");
  const doctor_id = doctors.items.find((d) => d.full_name === "Dr. Zoe Frei")?.id;
  await send("POST", "/walk-ins", { patient_id: patient, doctor_id, note: "Rash since yesterday" });
  await page.keyboard.press("q");
  await page.keyboard.press("t");
  await expect(page.getByRole("region", { name: "Here" })).toContainText("Rash since yesterday");
  await looks(page, "texts-walk-in-light");
});
