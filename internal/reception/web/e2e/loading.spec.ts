// No list stands under a date that it is not of, however slow, silent or unwilling the server is.
import { expect, type Page, type Route, test } from "@playwright/test";

import { api, appointment } from "./data.js";
import { desk, go, visits } from "./page.js";

const first = "2028-08-07"; // a Monday
const second = "2028-08-08";

test.beforeAll(async () => {
  await appointment(`${first}T06:00:00Z`, 1);
  await appointment(`${second}T06:00:00Z`, 2);
});

/** Holds back the answers about the appointments of requests that match, until they are let go. */
async function slow(page: Page, match: (url: URL) => boolean) {
  const held: Route[] = [];
  let open = false;
  await page.route(
    (url) => url.pathname === "/schedule" && match(url),
    async (route) => {
      if (open) await route.fallback();
      else held.push(route);
    },
  );
  return {
    held,
    letGo: async () => {
      open = true;
      // What has been given up meanwhile cannot be answered any more.
      await Promise.all(held.splice(0).map((route) => route.continue().catch(() => {})));
    },
  };
}

const paper = (page: Page) => page.locator(".paper");

for (const [view, key] of [
  ["day", "d"],
  ["week", "w"],
  ["board", "q"],
] as const) {
  test(`while another date loads slowly, the ${view} shows nothing of the one before`, async ({ browser }) => {
    const page = await desk(browser, first);
    await page.keyboard.press(key);
    await expect(page.locator("main")).toContainText("Muster, Ann");
    const days = view === "week" ? 7 : 1;
    const next = await slow(page, (url) => (url.searchParams.get("first_date") ?? "") > first);
    await page.keyboard.press("n");
    await expect(page.getByRole("heading", { level: 1 })).toContainText(days === 7 ? "14 Aug" : "8 August");
    await expect(page.getByText("Loading …").first()).toBeVisible();
    await expect(visits(page)).toHaveCount(0);
    await expect(page.locator("main")).not.toContainText("Muster");
    await expect(page.getByRole("button", { name: /^Check in/ })).toHaveCount(0);
    await expect(page.getByRole("button", { name: /^Print/ })).toBeDisabled();
    await expect(paper(page)).toContainText("Not loaded");
    await expect(page.locator("main")).not.toContainText(/\b0 |No appointments|No patients/);
    if (view !== "board") await expect(page.locator(".scroll")).toHaveAttribute("inert");
    await page.screenshot({ path: `test-results/loading-${view}.png` });
    await next.letGo();
    await expect(page.locator("main:not(.busy)")).toBeVisible();
    if (view === "week") await expect(page.locator("main")).toContainText("No appointments");
    else await expect(page.locator("main")).toContainText("Keller, Tom");
  });
}

test("the late answer about a day that was left is not shown", async ({ browser }) => {
  const page = await desk(browser, "2028-08-06");
  const old = await slow(page, (url) => url.searchParams.get("first_date") === first);
  await page.keyboard.press("n");
  await expect.poll(() => old.held.length).toBeGreaterThan(0);
  await page.keyboard.press("n");
  await expect(visits(page)).toHaveAttribute("aria-label", /Keller/);
  await old.letGo();
  await page.waitForTimeout(300);
  await expect(visits(page)).toHaveCount(1);
  await expect(visits(page)).toHaveAttribute("aria-label", /Keller/);
  // Nor a week of another doctor's.
  const week = await slow(page, (url) => url.searchParams.get("doctor_id") === "1");
  await page.keyboard.press("w");
  await page.locator(".bar select").selectOption({ index: 1 });
  await expect(page.locator("main")).toContainText("No appointments");
  await week.letGo();
  await page.waitForTimeout(300);
  await expect(visits(page)).toHaveCount(0);
});

test("a day that cannot be loaded says so, which is not an empty day", async ({ browser }) => {
  const page = await desk(browser, first, { answers: /ERR_FAILED/ });
  await expect(visits(page)).toHaveCount(1);
  let away = true;
  await page.route(
    (url) => url.pathname === "/schedule",
    (route) => (away ? route.abort() : route.fallback()),
  );
  await page.keyboard.press("n");
  await expect(page.getByRole("alert")).toContainText("could not be loaded", { timeout: 20_000 });
  await expect(visits(page)).toHaveCount(0);
  await expect(page.locator("main")).not.toContainText(/\b0 |No appointments/);
  await page.screenshot({ path: "test-results/refused.png" });
  away = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(visits(page)).toHaveAttribute("aria-label", /Keller/);
  await go(page, "2028-08-13");
  await expect(page.locator("main")).toContainText("No appointments");
});

test("hours and absences are those of the day that is shown", async ({ browser }) => {
  await api("POST", "/doctors/1/time-off", {
    start_time: `${second}T10:00:00Z`,
    end_time: `${second}T11:00:00Z`,
    reason: "training",
  });
  const page = await desk(browser, second);
  await expect(page.locator(".blocked").getByText("Training")).toBeVisible();
  await slow(page, (url) => url.searchParams.get("first_date") === "2028-08-09");
  await page.keyboard.press("n");
  await expect(page.getByText("Loading …").first()).toBeVisible();
  await expect(page.locator(".blocked").getByText("Training")).toHaveCount(0);
});

test("going back to a day asks for nothing that is known", async ({ browser }) => {
  const page = await desk(browser, first);
  // When the line comes up, what was read before it is read once more.
  await expect(page.getByRole("status", { name: /changes made elsewhere/ })).toHaveText("Live");
  await go(page, "2028-08-20");
  await go(page, second);
  await page.waitForTimeout(300);
  const asked: string[] = [];
  page.on("request", (r) => r.headers()["x-api-key"] && asked.push(r.url()));
  for (const day of ["2028-08-20", second]) await go(page, day);
  await expect(page.locator(".blocked").getByText("Training")).toBeVisible();
  expect(asked).toEqual([]);
});

test("the keyboard's place in the calendar stays while another day loads", async ({ browser }) => {
  const page = await desk(browser, first);
  await page.keyboard.press("b");
  await expect(page.locator("[data-cursor]")).toBeFocused();
  await page.keyboard.press("n");
  await expect(page.locator("main:not(.busy)")).toBeVisible();
  await expect(page.locator("[data-cursor]")).toBeFocused();
});

test("an empty clinic says in every view what to do", async ({ browser }) => {
  const faults: number[] = [];
  const page = await desk(browser, first);
  page.on("response", (r) => r.status() >= 400 && faults.push(r.status()));
  await page.route(
    (url) => url.pathname === "/doctors",
    (route) => route.fulfill({ json: { items: [], next_cursor: null } }),
  );
  await page.reload();
  await expect(page.getByRole("heading", { name: "There are no doctors yet" })).toBeVisible();
  for (const key of ["w", "q", "f", "d"]) {
    await page.keyboard.press(key);
    await expect(page.getByRole("heading", { name: "There are no doctors yet" })).toBeVisible();
    await expect(page.getByText("mems demo")).toBeVisible();
    await expect(page.getByRole("alert")).toHaveCount(0);
  }
  await page.keyboard.press("w");
  await page.keyboard.press("n");
  await page.waitForTimeout(500);
  expect(faults).toEqual([]);
  await page.screenshot({ path: "test-results/empty-clinic.png" });
  await page.unroute((url) => url.pathname === "/doctors");
});
