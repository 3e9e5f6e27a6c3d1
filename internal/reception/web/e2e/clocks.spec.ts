// Days on which the clocks change: what comes twice is told apart, wherever a time stands.
import { expect, test } from "@playwright/test";

import { api, appointment, type Booked } from "./data.js";
import { desk, go, looks, visits } from "./page.js";

const autumn = "2027-10-31";

test("half an hour at each 02:30 of an autumn night reads right everywhere", async ({ browser }) => {
  const patient = await api("POST", "/patients", { first_name: "Nora", last_name: "Nacht", birth_date: "1970-01-01" });
  const first = await appointment(`${autumn}T00:30:00Z`, patient.id);
  await appointment(`${autumn}T01:30:00Z`, patient.id);
  const page = await desk(browser, autumn);
  await expect(visits(page)).toHaveCount(2);
  await expect(visits(page).nth(0)).toHaveAttribute("aria-label", /02:30 CEST to 02:00 CET/);
  await expect(visits(page).nth(1)).toHaveAttribute("aria-label", /02:30 CET to 03:00 CET/);
  await expect(visits(page).nth(0)).toContainText("02:30 CEST");
  await expect(visits(page).nth(1)).toContainText("02:30 CET");
  await expect(page.locator(".axis")).toContainText("02:00 CEST");
  await expect(page.locator(".axis")).toContainText("02:00 CET");
  await expect(page.locator(".paper")).toContainText("02:30 CEST to 02:00 CET");
  await expect(page.locator(".paper")).toContainText("02:30 CET to 03:00 CET");
  await visits(page).nth(0).click();
  await expect(page.getByRole("dialog")).toContainText("02:30 CEST to 02:00 CET");
  await looks(page, "clocks-card-light");
  await page.keyboard.press("Escape");
  await page.keyboard.press("q");
  await expect(page.getByRole("region", { name: "Expected" })).toContainText("02:30 CEST");
  await expect(page.getByRole("region", { name: "Expected" })).toContainText("02:30 CET");
  await page.getByLabel("Find a patient").fill("Nacht");
  await page.getByRole("listbox").getByRole("option").first().click();
  await expect(page.getByRole("complementary")).toContainText("02:30 CEST");
  await expect(page.getByRole("complementary")).toContainText("02:30 CET");
  await page.keyboard.press("Escape");
  // And after a move from the first to the second.
  const moved = await api<Booked>("POST", `/appointments/${first.id}/reschedule`, {
    start_time: `${autumn}T03:30:00Z`,
  });
  expect(moved.start_time).toBe(`${autumn}T03:30:00Z`);
  await page.getByRole("link", { name: "Day", exact: true }).click();
  await expect(visits(page).nth(1)).toHaveAttribute("aria-label", /04:30 to 05:00/);
});

test("the second 02:30 is what is found, what is booked and what a typed time can choose", async ({ browser }) => {
  const page = await desk(browser, autumn, { colorScheme: "dark" });
  const patient = await api("POST", "/patients", { first_name: "Udo", last_name: "Uhr", birth_date: "1971-01-01" });
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Patient", { exact: true }).fill("Uhr");
  await page.getByRole("listbox").getByRole("option").first().click();
  await dialog.getByLabel("Doctor").selectOption({ label: "Dr. Per Holm · Allergology" });
  await dialog.getByLabel("Time", { exact: true }).fill("02:30");
  const which = dialog.getByLabel("Which 02:30?");
  await expect(which.locator("option")).toHaveText([/^CEST/, /^CET/]);
  await expect(dialog).toContainText("02:30 CEST to 02:00 CET");
  await which.selectOption({ index: 1 });
  await expect(dialog).toContainText("02:30 CET to 03:00 CET");
  await looks(page, "clocks-booking-dark");
  await dialog.getByRole("button", { name: "Book Udo Uhr" }).click();
  await expect(dialog).toHaveCount(0);
  const { items } = await api<{ items: Booked[] }>("GET", `/appointments?patient_id=${patient.id}`);
  expect(items.map((a) => a.start_time)).toEqual([`${autumn}T01:30:00Z`]);
  await expect(page.locator(".toasts")).toContainText("02:30 CET");
  await page.keyboard.press("f");
  await page.getByLabel("From").fill(autumn);
  await page.getByLabel("Within").selectOption({ index: 0 });
  const times = page.locator(".freeday strong");
  await expect(times.filter({ hasText: "02:00 CEST" }).first()).toBeVisible();
  await expect(times.filter({ hasText: /^02:00 CET$/ }).first()).toBeVisible();
  await expect(times.filter({ hasText: /^02:00$/ })).toHaveCount(0);
});

test("a time that a spring night skips is not taken for another one", async ({ browser }) => {
  const page = await desk(browser, "2027-03-28");
  await appointment("2027-03-28T00:30:00Z", 2);
  await expect(visits(page)).toHaveAttribute("aria-label", /01:30 CET to 03:00 CEST/);
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Time", { exact: true }).fill("02:30");
  await expect(dialog.getByRole("alert")).toContainText("02:30 does not exist on this day");
  await expect(dialog.getByRole("button", { name: /^Book/ })).toBeDisabled();
  await looks(page, "clocks-gap-light");
  await page.keyboard.press("Escape");
  // The last hour of a short day is on the screen.
  await appointment("2027-03-28T21:15:00Z", 3, 4);
  await expect(page.locator(".axis")).toContainText("23:00");
  await go(page, "2027-03-29");
});
