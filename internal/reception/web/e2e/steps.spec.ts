// What the desk offers to do with an appointment, and how it is undone.
import { expect, type Page, test } from "@playwright/test";

import { api, appointment, type Booked, booked } from "./data.js";
import { desk, looks, visits } from "./page.js";

const confirm = (id: number) => api("POST", `/appointments/${id}/confirm`);
const undo = (page: Page) => page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();

test("undo after a drag brings a confirmed appointment back as it was", async ({ browser }) => {
  const a = await appointment("2027-09-13T06:00:00Z");
  await confirm(a.id);
  const page = await desk(browser, "2027-09-13");
  await expect(visits(page)).toHaveAttribute("aria-label", /Confirmed/);
  await visits(page).evaluate((e) => e.scrollIntoView({ block: "center" }));
  const box = await visits(page).boundingBox();
  if (!box) throw new Error("nothing to drag");
  await page.mouse.move(box.x + 30, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + 30, box.y + 106, { steps: 4 });
  await page.mouse.up();
  await expect(visits(page)).toHaveAttribute("aria-label", /09:00 to 09:30, Scheduled/);
  await undo(page);
  await expect(visits(page)).toHaveAttribute("aria-label", /08:00 to 08:30, Confirmed/);
  await expect(page.locator(".toasts")).toContainText("back at");
  expect(await booked(a.id)).toMatchObject({ start_time: a.start_time, status: "confirmed" });
});

test("undo after a move by keyboard does too, and undoes nothing that somebody else did since", async ({ browser }) => {
  const a = await appointment("2027-09-14T06:00:00Z");
  await confirm(a.id);
  const page = await desk(browser, "2027-09-14", { answers: /status of 412/ });
  const move = async () => {
    await visits(page).focus();
    await page.keyboard.press("m");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await expect(visits(page)).toHaveAttribute("aria-label", /08:30 to 09:00/);
  };
  await move();
  await undo(page);
  await expect(visits(page)).toHaveAttribute("aria-label", /08:00 to 08:30, Confirmed/);
  await page.locator(".toast").last().getByRole("button", { name: "Dismiss" }).click();
  await move();
  await confirm(a.id); // by somebody else
  await undo(page);
  await expect(page.locator(".toasts")).toContainText("nothing was undone");
  expect(await booked(a.id)).toMatchObject({ start_time: "2027-09-14T06:30:00Z", status: "confirmed" });
});

test("an appointment of another day is not checked in, and the desk says when it can be", async ({ browser }) => {
  const a = await appointment("2027-09-15T06:00:00Z");
  const page = await desk(browser, "2027-09-15");
  const sent: string[] = [];
  page.on("request", (r) => r.method() === "POST" && sent.push(r.url()));
  // In the calendar by its key,
  await visits(page).focus();
  await page.keyboard.press("c");
  await expect(page.locator(".toasts")).toContainText("Check-in opens on");
  // in the card,
  await visits(page).click();
  await expect(page.getByRole("dialog").getByRole("button", { name: "Check in" })).toBeDisabled();
  await expect(page.getByRole("dialog")).toContainText("Check-in opens on");
  await looks(page, "too-early-light");
  await page.keyboard.press("Escape");
  // and on the board.
  await page.keyboard.press("q");
  const expected = page.getByRole("region", { name: "Expected" });
  await expect(expected.getByRole("button", { name: /^Check in/ })).toBeDisabled();
  await expect(expected).toContainText("Check-in opens on");
  await looks(page, "board-too-early-light");
  expect(sent).toEqual([]);
  expect((await booked(a.id)).status).toBe("scheduled");
});

/** An appointment at the first five minutes from now that no other test has taken. */
async function appointmentSoon(): Promise<Booked> {
  const first = Math.ceil((Date.now() + 60_000) / 300_000) * 300_000;
  for (let step = 0; ; step++) {
    try {
      return await appointment(new Date(first + step * 300_000).toISOString(), 2, 4);
    } catch (taken) {
      if (step === 12) throw taken;
    }
  }
}

test("an appointment of today is checked in", async ({ browser }) => {
  const a = await appointmentSoon();
  const page = await desk(browser, "2027-09-16");
  await page.keyboard.press("q");
  await page.keyboard.press("t");
  // Around midnight it may be tomorrow's.
  if ((await page.getByRole("button", { name: "Check in: Tom Keller" }).count()) === 0)
    await expect(page.locator("main:not(.busy)")).toBeVisible();
  if (!(await page.getByRole("button", { name: "Check in: Tom Keller" }).isVisible())) await page.keyboard.press("n");
  await page.getByRole("button", { name: "Check in: Tom Keller" }).click();
  await expect(page.getByRole("region", { name: "Here" })).toContainText("Keller, Tom");
  expect((await booked(a.id)).status).toBe("checked_in");
  await undo(page);
  await expect(page.getByRole("region", { name: "Expected" })).toContainText("Keller, Tom");
});
