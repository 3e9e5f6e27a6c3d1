import { expect, test } from "@playwright/test";

import { asked, book, desk, go, looks, visits } from "./page.js";

test("a wrong key is refused in words", async ({ page }) => {
  await page.goto(`${process.env.DESK_URL}/reception/`);
  await page.getByLabel("Key").fill("mems_1_wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("not known");
});

test("booked by keyboard alone, and seen in another browser at once", async ({ browser }) => {
  const one = await desk(browser, "2027-06-01");
  const two = await desk(browser, "2027-06-01");
  await expect(two.getByText("Live")).toBeVisible();
  await book(one, "muster", 4);
  const since = Date.now();
  await expect(visits(two)).toHaveCount(1);
  console.log(`the second browser shows the visit after at most ${Date.now() - since} ms`);
  await expect(one.getByRole("dialog")).toHaveCount(0);
  await expect(one.locator(".toasts")).toContainText("Ann Muster is booked");
});

test("what changes elsewhere is shown, and nothing is read for it", async ({ browser }) => {
  const page = await desk(browser, "2027-06-07");
  await expect(page.getByText("Live")).toBeVisible();
  await page.waitForTimeout(1000);
  const asked: string[] = [];
  page.on("request", (r) => r.headers()["x-api-key"] && asked.push(new URL(r.url()).pathname));
  const send = async (path: string, body: unknown) => {
    const answer = await fetch(`${process.env.DESK_URL}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-API-Key": process.env.DESK_KEY ?? "" },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(201);
  };
  await send("/appointments", {
    patient_id: 1,
    doctor_id: 1,
    start_time: "2027-06-07T07:00:00Z",
    duration_minutes: 30,
  });
  await expect(visits(page)).toHaveCount(1);
  await expect(visits(page)).toHaveAttribute("aria-label", /Muster, Ann/);
  await send("/doctors/2/time-off", {
    start_time: "2027-06-07T08:00:00Z",
    end_time: "2027-06-07T09:00:00Z",
    reason: "training",
  });
  await expect(page.locator(".blocked").getByText("Training")).toBeVisible();
  await send("/closures", { start_time: "2027-06-07T10:00:00Z", end_time: "2027-06-07T10:30:00Z", name: "Fire drill" });
  await expect(page.locator(".blocked").getByText("Closed: Fire drill")).toHaveCount(4);
  expect(asked).toEqual([]);
  // The board follows its queues.
  await page.keyboard.press("q");
  await page.keyboard.press("t");
  await expect(page.getByRole("region", { name: "Here" })).toContainText("No patients");
  await send("/walk-ins", { patient_id: 1, doctor_id: 4 });
  await expect(page.getByRole("region", { name: "Here" })).toContainText("Muster, Ann");
});

test("a conflict between two browsers leads to what is free", async ({ browser }) => {
  const one = await desk(browser, "2027-06-02");
  const two = await desk(browser, "2027-06-02");
  await two.keyboard.press("b");
  await two.keyboard.press("ArrowDown");
  await two.keyboard.press("Enter");
  await asked(two);
  await book(one, "muster", 1);
  await expect(visits(one)).toHaveCount(1);
  await two.keyboard.type("keller");
  await expect(two.getByRole("option").first()).toContainText("Keller");
  await two.keyboard.press("Enter");
  await two.keyboard.press("Enter");
  await expect(two.getByRole("alert")).toContainText("The doctor is not free");
  await two.screenshot({ path: "test-results/conflict.png" });
  await two.locator(".conflict .slots button").first().click();
  await expect(visits(one)).toHaveCount(2);
});

test("a visit is dragged to another doctor, and back by undo", async ({ browser }) => {
  const page = await desk(browser, "2027-06-03");
  await book(page, "brunner", 8);
  await expect(visits(page)).toHaveCount(1);
  const before = await visits(page).first().getAttribute("aria-label");
  const box = await visits(page).first().boundingBox();
  const column = await page.locator("[data-column]").nth(1).boundingBox();
  if (!box || !column) throw new Error("nothing to drag");
  await page.mouse.move(box.x + 30, box.y + 6);
  await page.mouse.down();
  await page.mouse.move(box.x + 60, box.y + 60, { steps: 4 });
  await page.mouse.move(column.x + 60, box.y + 150, { steps: 4 });
  await expect(page.locator(".drop")).toBeVisible();
  await page.screenshot({ path: "test-results/drag.png" });
  await page.mouse.up();
  await expect(page.locator(".toasts")).toContainText("is moved");
  await expect(page.locator("[data-column]").nth(1).locator("[data-visit]")).toHaveCount(1);
  expect(await visits(page).first().getAttribute("aria-label")).not.toBe(before);
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await expect(page.locator("[data-column]").nth(0).locator("[data-visit]")).toHaveCount(1);
  expect(await visits(page).first().getAttribute("aria-label")).toBe(before);
});

test("moved by keyboard alone", async ({ browser }) => {
  const page = await desk(browser, "2027-06-04");
  await book(page, "brunner", 2);
  await expect(visits(page)).toHaveCount(1);
  await visits(page).first().focus();
  await page.keyboard.press("m");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await expect(page.locator("[data-column]").nth(1).locator("[data-visit]")).toHaveCount(1);
});

test("cancelled with a reason, and put back by undo", async ({ browser }) => {
  const page = await desk(browser, "2027-06-05");
  await book(page, "keller", 2);
  await visits(page).first().click();
  await page.getByRole("button", { name: "Cancel …" }).click();
  await page.getByLabel("Why is it cancelled?").selectOption("doctor_unavailable");
  await page.screenshot({ path: "test-results/cancel.png" });
  await page.getByRole("button", { name: "Cancel the visit" }).click();
  await expect(visits(page)).toHaveCount(0);
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await expect(visits(page)).toHaveCount(1);
});

test("a new patient is registered while booking; one who is known is offered", async ({ browser }) => {
  const page = await desk(browser, "2027-06-06");
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type("Zoe Zeller");
  await page.getByRole("button", { name: "Register a new patient" }).click();
  await expect(page.getByLabel("First name")).toHaveValue("Zoe");
  await page.getByLabel("Born").fill("1990-05-05");
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await page.getByRole("button", { name: /^Book (?!anyway)/ }).click();
  await expect(visits(page)).toHaveCount(1);
  await page.keyboard.press("b");
  for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type("Zoe Zellerr");
  await page.getByRole("button", { name: "Register a new patient" }).click();
  await page.getByLabel("Last name").fill("Zeller");
  await page.getByLabel("Born").fill("1990-05-05");
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("may be somebody who is registered");
});

test("days on which the clocks change, seen from another zone", async ({ browser }) => {
  const page = await desk(browser, "2027-10-31", { timezoneId: "America/New_York" });
  await expect(page.getByText("Times are the clinic's")).toBeVisible();
  await expect(page.locator(".axis")).toContainText("02:00 CET");
  await page.screenshot({ path: "test-results/autumn.png" });
  await go(page, "2027-03-28");
  await expect(page.locator(".axis")).toContainText("01:00");
  await expect(page.locator(".axis")).not.toContainText("02:00");
});

test("looks, and can be used by everybody, in every view", async ({ browser }) => {
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await desk(browser, "2027-06-08", { colorScheme });
    if (colorScheme === "light") {
      await book(page, "muster", 4);
      await expect(page.getByRole("dialog")).toHaveCount(0);
    }
    await expect(visits(page)).toHaveCount(1);
    const check = (name: string) => looks(page, `${name}-${colorScheme}`);
    await check("day");
    await page.keyboard.press("?");
    await check("shortcuts");
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await page.keyboard.press("w");
    await check("week");
    await page.keyboard.press("q");
    await check("check-in");
    await page.keyboard.press("f");
    await expect(page.getByText(/free times/)).toBeVisible();
    await check("find");
    await page.keyboard.press("d");
    await visits(page).first().click();
    await check("visit");
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await page.keyboard.press("b");
    await page.keyboard.press("Enter");
    await asked(page);
    await page.keyboard.type("muster");
    await expect(page.getByRole("option").first()).toContainText("Muster");
    await check("book");
  }
});

test("at every size", async ({ browser }) => {
  for (const [width, height] of [
    [1920, 1080],
    [1024, 768],
    [768, 1024],
  ] as const) {
    const page = await desk(browser, "2027-06-01", { width, height });
    await page.waitForTimeout(300);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.screenshot({ path: `test-results/day-${width}x${height}.png` });
  }
});
