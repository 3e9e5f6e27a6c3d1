// A server that cannot be reached says nothing about whom it knows or what is free.
import { expect, type Page, test } from "@playwright/test";

import { bookButton, chip, choose, openBooking, options, patientField, register } from "./clinic.js";
import { desk, looks, visits } from "./page.js";

test.beforeAll(async () => {
  await register("Oona", "Virtanen", { birth_date: "1993-01-20" });
});

// The line is cut for all but what the page itself consists of.
async function cut(page: Page): Promise<() => Promise<void>> {
  const api = /\/(patients|availability|appointments|walk-ins)/;
  await page.route(api, (route) => route.abort("connectionrefused"));
  return () => page.unroute(api);
}

test("the picker tells unreachable from nobody, keeps what was typed, and goes on", async ({ browser }) => {
  const page = await desk(browser, "2027-07-10");
  await openBooking(page);
  const restore = await cut(page);
  await page.keyboard.type("virtanen");
  await expect(page.getByRole("dialog").getByText("The server can't be reached.")).toBeVisible();
  await expect(page.getByText("No patients match")).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Register a new patient" })).toHaveCount(0);
  await expect(patientField(page)).toHaveValue("virtanen");
  await looks(page, "away-light");
  await restore();
  await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
  await expect(options(page)).toContainText("Virtanen, Oona");
  await patientField(page).fill("nobody of this name");
  await expect(page.getByText("No patients match.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Register a new patient" })).toBeVisible();
});

test("a search that is refused is neither", async ({ browser }) => {
  const page = await desk(browser, "2027-07-10");
  await openBooking(page);
  await page.route(/\/patients\?/, (route) =>
    route.fulfill({
      status: 403,
      contentType: "application/problem+json",
      body: JSON.stringify({
        type: "/problems/forbidden",
        title: "Forbidden",
        status: 403,
        detail: "Not for this key.",
        instance: "/patients",
        request_id: "x",
      }),
    }),
  );
  await page.keyboard.type("virtanen");
  await expect(page.getByText("You don't have permission to do this.")).toBeVisible();
  await expect(page.getByText("Not for this key.")).toHaveCount(0);
  await expect(page.getByText("No patients match")).toHaveCount(0);
});

test("a booking that got no answer keeps everything, and is made once when it is sent again", async ({ browser }) => {
  const page = await desk(browser, "2027-07-11");
  await openBooking(page);
  await choose(page, "virtanen");
  // It arrives, and the answers are lost.
  await page.route(/\/appointments$/, async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    await route.fetch();
    await route.abort("connectionreset");
  });
  await bookButton(page).click();
  await expect(page.getByRole("alert")).toContainText("The server can't be reached. What you entered is kept.");
  await expect(chip(page)).toContainText("Oona Virtanen");
  await page.unroute(/\/appointments$/);
  await page.getByRole("alert").getByRole("button", { name: "Retry" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(visits(page)).toHaveCount(1);
});

test("nothing found is not said of free times that could not be read", async ({ browser }) => {
  const page = await desk(browser, "2027-07-12");
  await page.keyboard.press("f");
  await expect(page.getByText(/free times;/)).toBeVisible();
  const restore = await cut(page);
  await page.getByLabel("From").fill("2027-07-20");
  // What was free under other criteria is not offered under these.
  await expect(page.locator(".find .slots button")).toHaveCount(0);
  await expect(page.locator(".find").getByRole("alert")).toContainText("The server can't be reached.");
  await expect(page.getByText("Nothing is free")).toHaveCount(0);
  await restore();
  await page.locator(".find").getByRole("button", { name: "Retry" }).click();
  await expect(page.locator(".freeday h2").first()).toContainText("20 Jul");
});

test("a patient's appointments that could not be read are not none", async ({ browser }) => {
  const page = await desk(browser, "2027-07-12");
  await page.keyboard.press("/");
  await page.keyboard.type("virtanen");
  await expect(options(page)).toHaveCount(1);
  const restore = await cut(page);
  await page.keyboard.press("Enter");
  const card = page.getByRole("complementary", { name: "Oona Virtanen" });
  await expect(card.getByRole("alert")).toContainText("The server can't be reached.");
  await expect(card.getByText("No appointments.")).toHaveCount(0);
  await restore();
  await card.getByRole("button", { name: "Retry" }).click();
  await expect(card.getByText("Upcoming")).toBeVisible();
});
