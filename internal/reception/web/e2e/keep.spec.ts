// A time that is kept free while the patient thinks: counted down, booked, released, expired.
import { expect, type Page, test } from "@playwright/test";

import { appointmentsOf, bookButton, choose, openBooking, register, send } from "./clinic.js";
import { desk, looks, visits } from "./page.js";

const tag = Array.from(String(Date.now()).slice(-6), (d) => "abcdefghij"[Number(d)]).join("");
let patient = 0;

const dialog = (page: Page) => page.getByRole("dialog");
const timer = (page: Page) => dialog(page).getByRole("timer", { name: "Time left" });
const keep = (page: Page) => dialog(page).getByRole("button", { name: "Keep this time free" });

/** Whether the first doctor's time is free for others. */
async function free(start_time: string): Promise<boolean> {
  try {
    const hold = await send("POST", "/holds", { doctor_id: 1, start_time, duration_minutes: 30 });
    await send("DELETE", `/holds/${hold.id}`);
    return true;
  } catch {
    return false;
  }
}

test.beforeAll(async () => {
  patient = (await register("Kim", `Halter${tag}`)).id;
});

for (const [colorScheme, width, height] of [
  ["light", 1280, 800],
  ["dark", 390, 844],
] as const) {
  test(`is kept from others, counted down, and booked (${colorScheme})`, async ({ browser }) => {
    const [date, utc] = colorScheme === "light" ? ["2028-06-06", "2028-06-06T07:00:00Z"] : ["2028-06-07", ""];
    const page = await desk(browser, date, { colorScheme, width, height });
    await openBooking(page, "09:00");
    await keep(page).focus();
    await page.keyboard.press("Enter");
    await expect(timer(page)).toHaveText(/^4:5\d$/);
    await looks(page, `keep-${colorScheme}`);
    await expect(timer(page)).toHaveText(/^4:5[0-7]$/);
    if (utc) expect(await free(utc)).toBe(false);
    await choose(page, `Halter${tag}`);
    await bookButton(page).click();
    await expect(dialog(page)).toHaveCount(0);
    await expect(visits(page)).toHaveCount(1);
    if (utc)
      expect((await appointmentsOf(patient)).some((a) => Date.parse(a.start_time) === Date.parse(utc))).toBe(true);
  });
}

test("is free again at once when it is released, when another time is chosen, and when the dialog closes", async ({
  browser,
}) => {
  const page = await desk(browser, "2028-06-08");
  const nine = "2028-06-08T07:00:00Z";
  await openBooking(page, "09:00");
  await keep(page).click();
  await expect(timer(page)).toBeVisible();
  await dialog(page).getByRole("button", { name: "Release" }).click();
  await expect(keep(page)).toBeVisible();
  await expect.poll(() => free(nine)).toBe(true);
  await keep(page).click();
  await expect(timer(page)).toBeVisible();
  await dialog(page).getByLabel("Time", { exact: true }).fill("10:00");
  await expect(timer(page)).toHaveCount(0);
  await expect(dialog(page)).toContainText("The time before is no longer kept free.");
  await expect.poll(() => free(nine)).toBe(true);
  await keep(page).click();
  await expect(timer(page)).toBeVisible();
  expect(await free("2028-06-08T08:00:00Z")).toBe(false);
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toHaveCount(0);
  await expect.poll(() => free("2028-06-08T08:00:00Z")).toBe(true);
});

test("what is not free cannot be kept, and another time is one click away", async ({ browser }) => {
  const page = await desk(browser, "2028-06-09");
  await send("POST", "/appointments", {
    patient_id: patient,
    doctor_id: 1,
    start_time: "2028-06-09T07:00:00Z",
    duration_minutes: 30,
  });
  await openBooking(page, "09:00");
  await keep(page).click();
  await expect(dialog(page).getByRole("alert")).toContainText("The doctor is not free");
  await dialog(page).locator(".conflict .slots button").first().click();
  await expect(timer(page)).toBeVisible();
  await expect(dialog(page).getByRole("alert")).toHaveCount(0);
});

test("when the time runs out the dialog says so, and books if it is still free", async ({ browser }) => {
  const page = await desk(browser, "2028-06-12");
  // Held for three seconds, as the desk sees it.
  await page.route(/\/holds$/, async (route) => {
    const answer = await route.fetch();
    const hold = (await answer.json()) as { created_at: string; expires_at: string };
    hold.expires_at = new Date(Date.parse(hold.created_at) + 3000).toISOString();
    await route.fulfill({ response: answer, json: hold });
  });
  await openBooking(page, "09:00");
  await choose(page, `Halter${tag}`);
  await keep(page).click();
  await expect(page.locator(".keep.ending")).toBeVisible();
  await expect(dialog(page)).toContainText("The time is no longer kept free. It can be booked while it is free.");
  await expect(timer(page)).toHaveCount(0);
});
