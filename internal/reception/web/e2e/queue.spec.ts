import { expect, test } from "@playwright/test";

import { asked, desk, looks } from "./page.js";

test("a walk-in is taken, called and seen, by name", async ({ browser }) => {
  const page = await desk(browser, "2027-06-01");
  const other = await desk(browser, "2027-06-01");
  await other.keyboard.press("q");
  await other.keyboard.press("t");
  await page.keyboard.press("k");
  await asked(page);
  await page.keyboard.type("brunner", { delay: 20 });
  await expect(page.getByRole("listbox").getByRole("option").first()).toContainText("Brunner");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByLabel("With").selectOption({ label: "Dr. Zoe Frei · Urgent care" });
  await page.getByLabel("Note (optional)").fill("Rash since yesterday");
  await looks(page, "walk-in-light");
  await page.getByRole("button", { name: /^Add .* to queue$/ }).click();
  await expect(page.locator(".toasts")).toContainText(/Lea Brunner has number \d+ with Dr\. Zoe Frei\./);
  const here = page.getByRole("region", { name: "Here" });
  await expect(here).toContainText("Brunner, Lea");
  await expect(other.getByRole("region", { name: "Here" })).toContainText("Brunner, Lea");
  await page.getByRole("button", { name: "Call: Brunner, Lea" }).click();
  await expect(here).toContainText("called");
  await page.screenshot({ path: "test-results/queue.png" });
  await page.getByRole("button", { name: "Start visit: Brunner, Lea" }).click();
  await expect(page.getByRole("region", { name: "With the doctor" })).toContainText("Brunner, Lea");
  await page.getByRole("button", { name: "Finish: Brunner, Lea" }).click();
  await expect(page.getByRole("region", { name: "With the doctor" })).not.toContainText("Brunner");
});

test("somebody new comes without an appointment, and does not wait", async ({ browser }) => {
  const page = await desk(browser, "2027-06-01", { colorScheme: "dark" });
  await page.keyboard.press("k");
  await asked(page);
  await page.keyboard.type("Ole Nordmann", { delay: 20 });
  await page.getByRole("button", { name: "Register a new patient" }).click();
  await page.getByLabel("Born").fill("1999-09-09");
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await page.getByRole("dialog").getByLabel("With").selectOption({ label: "Urgent care" });
  await looks(page, "walk-in-dark");
  await page.getByRole("button", { name: /^Add .* to queue$/ }).click();
  const here = page.getByRole("region", { name: "Here" });
  await expect(here).toContainText("Nordmann, Ole");
  await looks(page, "queue-dark");
  await page.getByRole("button", { name: "Has left: Nordmann, Ole" }).click();
  await expect(here).not.toContainText("Nordmann");
});
