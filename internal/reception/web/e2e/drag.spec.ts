// Moving an appointment by finger and by mouse, and everything that must not move it.
import { type CDPSession, expect, type Page, test } from "@playwright/test";

import { appointment, booked, changes } from "./data.js";
import { desk, visits } from "./page.js";

const tablet = { width: 1024, height: 768, hasTouch: true };

/** Real fingers, as the browser's own input gets them. */
class Fingers {
  private constructor(private cdp: CDPSession) {}
  static async of(page: Page) {
    return new Fingers(await page.context().newCDPSession(page));
  }
  private send(type: "touchStart" | "touchMove" | "touchEnd" | "touchCancel", ...points: [number, number][]) {
    return this.cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  }
  down = (...points: [number, number][]) => this.send("touchStart", ...points);
  up = () => this.send("touchEnd");
  cancel = () => this.send("touchCancel");
  async move(from: [number, number], to: [number, number], steps = 8) {
    for (let i = 1; i <= steps; i++) {
      await this.send("touchMove", [
        from[0] + ((to[0] - from[0]) * i) / steps,
        from[1] + ((to[1] - from[1]) * i) / steps,
      ]);
    }
  }
}

async function middle(page: Page): Promise<[number, number]> {
  await expect(visits(page)).toHaveCount(1);
  await visits(page)
    .first()
    .evaluate((e) => e.scrollIntoView({ block: "center" }));
  const box = await visits(page).first().boundingBox();
  if (!box) throw new Error("nothing to touch");
  return [Math.round(box.x + 40), Math.round(box.y + box.height / 2)];
}

const top = (page: Page) => page.locator(".scroll").evaluate((e) => e.scrollTop);
const lifted = (page: Page) => page.locator(".drop.lifted");

test("a finger that swipes over an appointment scrolls and moves nothing", async ({ browser }) => {
  const a = await appointment("2028-07-01T06:00:00Z");
  const page = await desk(browser, "2028-07-01", tablet);
  const sent = changes(page);
  const fingers = await Fingers.of(page);
  const at = await middle(page);
  const before = await top(page);
  await fingers.down(at);
  await fingers.move(at, [at[0], at[1] - 40], 2);
  await fingers.up();
  await expect.poll(() => top(page)).toBeGreaterThan(before);
  // A longer one, downwards.
  const again = await middle(page);
  await fingers.down(again);
  await fingers.move(again, [again[0], again[1] + 120], 8);
  await fingers.up();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(lifted(page)).toHaveCount(0);
  expect(sent).toEqual([]);
  expect((await booked(a.id)).start_time).toBe(a.start_time);
});

test("a finger that rests lifts the appointment, visibly, and moves it", async ({ browser }) => {
  const a = await appointment("2028-07-02T06:00:00Z");
  const page = await desk(browser, "2028-07-02", tablet);
  const fingers = await Fingers.of(page);
  const at = await middle(page);
  const before = await top(page);
  await fingers.down(at);
  await expect(lifted(page)).toBeVisible();
  await fingers.move(at, [at[0], at[1] + 96]); // an hour
  await expect(lifted(page)).toContainText("09:00 to 09:30");
  await page.screenshot({ path: "test-results/touch-drag.png" });
  await fingers.up();
  await expect(page.locator(".toasts")).toContainText("is moved");
  expect(await top(page)).toBe(before);
  expect((await booked(a.id)).start_time).toBe("2028-07-02T07:00:00Z");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("a tap and a long press that goes nowhere open the appointment", async ({ browser }) => {
  await appointment("2028-07-03T06:00:00Z");
  const page = await desk(browser, "2028-07-03", tablet);
  const sent = changes(page);
  const fingers = await Fingers.of(page);
  const at = await middle(page);
  for (const long of [false, true]) {
    await fingers.down(at);
    if (long) await expect(lifted(page)).toBeVisible();
    await fingers.up();
    await expect(page.getByRole("dialog")).toBeVisible();
    await expect(lifted(page)).toHaveCount(0);
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
  }
  expect(sent).toEqual([]);
});

test("a second finger, and a browser that takes the finger away, put the appointment back", async ({ browser }) => {
  const a = await appointment("2028-07-04T06:00:00Z");
  const page = await desk(browser, "2028-07-04", tablet);
  const sent = changes(page);
  const fingers = await Fingers.of(page);
  const at = await middle(page);
  const lower: [number, number] = [at[0], at[1] + 96];
  await fingers.down(at);
  await expect(lifted(page)).toBeVisible();
  await fingers.move(at, lower);
  await fingers.down(lower, [lower[0] + 200, lower[1]]);
  await expect(lifted(page)).toHaveCount(0);
  await fingers.up();
  await fingers.down(at);
  await expect(lifted(page)).toBeVisible();
  await fingers.move(at, lower);
  await fingers.cancel();
  await expect(lifted(page)).toHaveCount(0);
  await expect(page.getByRole("dialog")).toHaveCount(0);
  expect(sent).toEqual([]);
  expect((await booked(a.id)).start_time).toBe(a.start_time);
});

test("a finger books by a tap on free time, and does not by a swipe", async ({ browser }) => {
  const page = await desk(browser, "2028-07-05", tablet);
  const fingers = await Fingers.of(page);
  const box = await page.locator("[data-column]").first().boundingBox();
  if (!box) throw new Error("no column");
  const at: [number, number] = [Math.round(box.x + 50), 500];
  await fingers.down(at);
  await fingers.move(at, [at[0], at[1] - 60]);
  await fingers.up();
  await expect.poll(() => top(page)).toBeGreaterThan(0);
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.waitForTimeout(700); // until what the swipe set in motion stands still
  await fingers.down(at);
  await fingers.up();
  await expect(page.getByRole("dialog")).toBeVisible();
});

// Each of these, in the middle of a drag by mouse.
const interruptions: [string, (page: Page) => Promise<unknown>][] = [
  ["Escape", (page) => page.keyboard.press("Escape")],
  ["another window", (page) => page.evaluate(() => window.dispatchEvent(new Event("blur")))],
  ["another day", (page) => page.keyboard.press("n")],
  ["another view", (page) => page.keyboard.press("w")],
  [
    "a lost pointer",
    async (page) => {
      await page.evaluate(() => document.querySelector("[data-visit]")?.releasePointerCapture(1));
      // The browser tells of it before the pointer's next event (Pointer Events, section 4.1.3.1).
      await page.mouse.move(...(await middle(page)));
    },
  ],
];
for (const [index, [name, interrupt]] of interruptions.entries()) {
  test(`a drag that is interrupted by ${name} sends nothing and opens nothing`, async ({ browser }) => {
    const date = `2028-07-${String(10 + index)}`;
    const a = await appointment(`${date}T06:00:00Z`);
    const page = await desk(browser, date);
    await expect(visits(page)).toHaveCount(1);
    const sent = changes(page);
    const [x, y] = await middle(page);
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x, y + 60, { steps: 4 });
    await expect(lifted(page)).toBeVisible();
    await interrupt(page);
    await expect(lifted(page)).toHaveCount(0);
    await page.mouse.move(x, y + 90, { steps: 2 });
    await page.mouse.up();
    await expect(page.getByRole("dialog")).toHaveCount(0);
    // A click afterwards is a click again.
    if (name === "Escape") {
      await page.mouse.click(x, y);
      await expect(page.getByRole("dialog")).toBeVisible();
    }
    expect(sent).toEqual([]);
    expect((await booked(a.id)).start_time).toBe(a.start_time);
  });
}

test("an appointment that is dropped beside the calendar stays where it was", async ({ browser }) => {
  const a = await appointment("2028-07-21T06:00:00Z");
  const page = await desk(browser, "2028-07-21");
  const sent = changes(page);
  const [x, y] = await middle(page);
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x, y + 60, { steps: 4 });
  await expect(lifted(page)).toBeVisible();
  await page.mouse.move(x, 20, { steps: 4 }); // the page's head
  await page.mouse.up();
  await expect(lifted(page)).toHaveCount(0);
  await expect(page.getByRole("dialog")).toHaveCount(0);
  expect(sent).toEqual([]);
  expect((await booked(a.id)).start_time).toBe(a.start_time);
});

test("what somebody else changes during a drag is not moved by it", async ({ browser }) => {
  const a = await appointment("2028-07-20T06:00:00Z");
  const page = await desk(browser, "2028-07-20");
  await expect(page.getByText("Live")).toBeVisible();
  await expect(visits(page)).toHaveCount(1);
  const sent = changes(page);
  const [x, y] = await middle(page);
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x, y + 60, { steps: 4 });
  await expect(lifted(page)).toBeVisible();
  await fetch(`${process.env.DESK_URL}/appointments/${a.id}/confirm`, {
    method: "POST",
    headers: { "X-API-Key": process.env.DESK_KEY ?? "" },
  });
  await expect(page.locator(".toasts")).toContainText("was changed meanwhile");
  await page.mouse.up();
  await expect(lifted(page)).toHaveCount(0);
  expect(sent).toEqual([]);
  expect((await booked(a.id)).start_time).toBe(a.start_time);
});
