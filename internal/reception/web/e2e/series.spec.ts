// A series from the booking dialog: its dates checked before they are booked, and what became of each.
import { expect, type Page, test } from "@playwright/test";

import { appointmentsOf, choose, openBooking, register, send } from "./clinic.js";
import { desk, looks, visits } from "./page.js";

const tag = Array.from(String(Date.now()).slice(-6), (d) => "abcdefghij"[Number(d)]).join("");
let patient = 0;
let other = 0;

const dialog = (page: Page) => page.getByRole("dialog");
const dates = (page: Page) => dialog(page).locator(".series-dates > li");
const starts = async (of: number) => (await appointmentsOf(of)).map((a) => a.start_time.slice(0, 16));

const taken = (start_time: string) =>
  send("POST", "/appointments", { patient_id: other, doctor_id: 1, start_time, duration_minutes: 30 });

test.beforeAll(async () => {
  patient = (await register("Rosa", `Folge${tag}`)).id;
  other = (await register("Omar", `Ander${tag}`)).id;
});

for (const [colorScheme, width, height, date, second] of [
  ["light", 1280, 800, "2028-02-01", "2028-02-08"], // Tuesdays
  ["dark", 390, 844, "2028-02-02", "2028-02-09"],
] as const) {
  test(`shows which dates are free, books those, and offers others instead (${colorScheme})`, async ({ browser }) => {
    await taken(`${second}T09:00:00Z`);
    const page = await desk(browser, date, { colorScheme, width, height });
    const before = (await starts(patient)).length;
    await openBooking(page, "10:00");
    await dialog(page).getByLabel("Repeat").selectOption("week");
    await expect(dialog(page)).toContainText("Choose a patient to see which dates are free.");
    await choose(page, `Folge${tag}`);
    await dialog(page).getByLabel("Times").fill("4");
    await expect(dialog(page)).toContainText(/Every week on (Tues|Wednes)day, 4 times/);
    await expect(dates(page)).toHaveCount(4);
    await expect(dialog(page)).toContainText("3 of 4 dates are free; the other one is left out.");
    await expect(dates(page).nth(1)).toContainText("The doctor is not free");
    await expect(dates(page).nth(2)).toContainText("Free");
    await dialog(page).getByLabel("Note").fill("Bring the plan");
    await expect(dialog(page).getByRole("button", { name: "Book 3 of 4 appointments" })).toBeEnabled();
    await looks(page, `series-${colorScheme}`);
    expect(await starts(patient)).toHaveLength(before);
    await dialog(page).getByRole("button", { name: "Book 3 of 4 appointments" }).click();
    await expect(dialog(page)).toContainText(`3 of 4 appointments are booked for Rosa Folge${tag}.`);
    await expect(dates(page).nth(0)).toContainText("Booked");
    await looks(page, `series-outcome-${colorScheme}`);
    await dates(page).nth(1).getByRole("button").first().click();
    await expect(dialog(page)).toContainText("4 of 4 appointments are booked");
    await dialog(page).getByRole("button", { name: "Done" }).click();
    await expect(dialog(page)).toHaveCount(0);
    await expect(visits(page)).toHaveCount(1);
    const made = (await appointmentsOf(patient)).slice(-4) as unknown as { note: string | null }[];
    expect(await starts(patient)).toHaveLength(before + 4);
    expect(made.map((a) => a.note)).toEqual(Array(4).fill("Bring the plan"));
  });
}

test("by the keyboard alone, all dates free, and taken back", async ({ browser }) => {
  const page = await desk(browser, "2028-02-04");
  const before = (await starts(patient)).length;
  await openBooking(page, "14:00");
  await choose(page, `Folge${tag}`);
  await dialog(page).getByLabel("Repeat").focus();
  await page.keyboard.type("Every 2");
  await page.keyboard.press("Tab");
  await page.keyboard.type("3");
  await expect(dialog(page).getByLabel("Times")).toHaveValue("3");
  await expect(dialog(page)).toContainText("All dates are free.");
  await page.keyboard.press("Enter");
  await expect(dialog(page)).toContainText("3 of 3 appointments are booked");
  expect((await starts(patient)).filter((s) => /2028-02-04|2028-02-18|2028-03-03/.test(s))).toHaveLength(3);
  await expect(dialog(page).getByRole("button", { name: "Done" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(dialog(page)).toHaveCount(0);
  await expect(page.locator(".toast").last()).toContainText("is booked 3 times");
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await expect(visits(page)).toHaveCount(0);
  expect((await starts(patient)).length).toBe(before + 3); // cancelled, not gone
});

test("a date that is taken meanwhile books nothing, and is shown", async ({ browser }) => {
  const page = await desk(browser, "2028-02-07");
  const before = (await starts(patient)).length;
  await openBooking(page, "15:00");
  await choose(page, `Folge${tag}`);
  await dialog(page).getByLabel("Repeat").selectOption("day");
  await dialog(page).getByLabel("Times").fill("2");
  await expect(dialog(page)).toContainText("All dates are free.");
  await taken("2028-02-08T14:00:00Z");
  await dialog(page).getByRole("button", { name: "Book 2 appointments" }).click();
  await expect(dialog(page)).toContainText("A date was taken meanwhile; nothing was booked.");
  await expect(dialog(page)).toContainText("1 of 2 dates are free");
  expect(await starts(patient)).toHaveLength(before);
});

test("what a series cannot be is said before it is booked", async ({ browser }) => {
  const page = await desk(browser, "2028-02-10");
  await openBooking(page, "12:15");
  await choose(page, `Folge${tag}`);
  await dialog(page).getByLabel("Repeat").selectOption("week");
  await dialog(page).getByLabel("Times").fill("2");
  await expect(dates(page).first()).toContainText("Outside the doctor's working hours.");
  await expect(dialog(page).getByRole("button", { name: /^Book 0 of 2/ })).toBeDisabled();
  await dialog(page).getByLabel("Times").fill("1");
  await expect(dialog(page)).toContainText("From 2 to 100 times.");
  await dialog(page).getByLabel("Repeat").selectOption("");
  await expect(dialog(page).getByRole("button", { name: `Book Rosa Folge${tag}` })).toBeEnabled();
});
