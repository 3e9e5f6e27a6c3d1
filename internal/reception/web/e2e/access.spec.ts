// Keys that may do less, keys that end, and servers that ask for patience.
import { type Browser, expect, type Page, test } from "@playwright/test";

import { api, appointment } from "./data.js";
import { desk, go, looks, visits } from "./page.js";

let made = 0;
async function key(role: string, scopes?: string[]): Promise<{ id: number; key: string }> {
  return api("POST", "/api-keys", { name: `desk test ${++made} ${Date.now()}`, role, ...(scopes ? { scopes } : {}) });
}

/** A desk that is opened with a key; the requests that it sends are counted. */
async function open(
  browser: Browser,
  secret: string,
  colorScheme: "light" | "dark" = "light",
): Promise<{ page: Page; refused: string[]; sent: string[] }> {
  const page = await (await browser.newContext({ colorScheme, viewport: { width: 1024, height: 768 } })).newPage();
  const refused: string[] = [];
  const sent: string[] = [];
  page.on("request", (r) => sent.push(new URL(r.url()).pathname));
  page.on(
    "response",
    (r) =>
      r.status() >= 400 &&
      r.request().headers()["x-api-key"] &&
      refused.push(`${r.status()} ${new URL(r.url()).pathname}`),
  );
  await page.goto(`${process.env.DESK_URL}/reception/`);
  await page.getByLabel("Key").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  return { page, refused, sent };
}

test("a key that may not use the desk is told so, and nothing is asked again and again", async ({ browser }) => {
  for (const [role, colorScheme] of [
    ["auditor", "light"],
    ["partner", "dark"],
  ] as const) {
    const { page, refused, sent } = await open(browser, (await key(role)).key, colorScheme);
    for (const view of ["d", "w", "q"]) {
      await page.keyboard.press(view);
      await expect(page.getByRole("heading", { name: "You don't have permission to do this" })).toBeVisible();
      await expect(page.locator("main")).toContainText("appointments:read");
      await expect(page.locator("main")).toContainText(role);
    }
    await expect(page.getByText(/Reconnecting|\b0 |No appointments/)).toHaveCount(0);
    await looks(page, `no-permission-${colorScheme}`);
    const before = sent.length;
    await page.waitForTimeout(8_000);
    expect(sent.slice(before)).toEqual([]);
    expect(refused).toEqual([]);
    await page.getByRole("button", { name: "Sign in with another key" }).click();
    await expect(page.getByLabel("Key")).toBeVisible();
  }
});

test("a key that may do part of it sees that part, and what is missing is named", async ({ browser }) => {
  const { page, refused, sent } = await open(
    browser,
    (await key("partner", ["records:all", "appointments:read", "calendar:read"])).key,
  );
  await appointment("2027-09-01T06:00:00Z");
  await go(page, "2027-09-01");
  await expect(visits(page)).toHaveCount(1);
  await expect(page.getByText("Every 30 s")).toBeVisible();
  await expect(page.locator("[data-cursor]")).toHaveCount(0);
  await page.keyboard.press("q");
  await expect(page.locator("main")).toContainText("queue:read");
  await expect(page.getByRole("button", { name: /^Check in/ })).toHaveCount(0);
  const before = sent.length;
  await page.waitForTimeout(6_000);
  expect(sent.slice(before)).toEqual([]);
  expect(refused).toEqual([]);
});

test("a permission that is taken away while the desk is open is a refusal, once", async ({ browser }) => {
  const page = await desk(browser, "2027-09-02", { answers: /status of 403/ });
  const sent: string[] = [];
  await page.route(
    (url) => url.pathname === "/schedule",
    (route) => {
      sent.push(route.request().url());
      return route.fulfill({
        status: 403,
        contentType: "application/problem+json",
        json: {
          type: "/problems/forbidden",
          title: "Forbidden",
          status: 403,
          detail: "no",
          instance: "/x",
          request_id: "x",
        },
      });
    },
  );
  await page.keyboard.press("n");
  await expect(page.getByRole("alert")).toContainText("could not be loaded");
  await page.waitForTimeout(7_000);
  expect(sent).toHaveLength(1);
});

test("a key that is revoked leads to the sign-in, with the reason and without the patients", async ({ browser }) => {
  const receptionist = await key("receptionist");
  const { page } = await open(browser, receptionist.key);
  await appointment("2027-09-03T06:00:00Z");
  await go(page, "2027-09-03");
  await visits(page).first().click();
  await expect(page.getByRole("dialog")).toContainText("Ann Muster");
  await api("POST", `/api-keys/${receptionist.id}/revoke`);
  await page.keyboard.press("Escape");
  await page.keyboard.press("n");
  await expect(page.getByRole("alert")).toContainText("expired or was revoked");
  await expect(page.getByLabel("Key")).toBeVisible();
  await expect(page.getByText("Muster")).toHaveCount(0);
  await page.reload();
  await expect(page.getByLabel("Key")).toBeVisible();
});

for (const status of [429, 503]) {
  test(`${status} with Retry-After is honoured`, async ({ browser }) => {
    const page = await desk(browser, "2027-09-04", { answers: /status of (429|503)/ });
    await expect(page.getByText("Live")).toBeVisible();
    const at: number[] = [];
    let wait = "60";
    await page.route(
      (url) => url.pathname === "/schedule",
      (route) => {
        at.push(Date.now());
        return wait
          ? route.fulfill({ status, headers: { "Retry-After": wait }, contentType: "text/plain", body: "busy" })
          : route.fallback();
      },
    );
    await page.keyboard.press("n");
    await expect(page.getByRole("alert")).toContainText("could not be loaded");
    // Nor does what changes elsewhere make it ask before that.
    await appointment(`2027-09-${status === 429 ? "06" : "07"}T06:00:00Z`, 3, 3);
    await page.waitForTimeout(7_000);
    expect(at).toHaveLength(1);
    // The button retries at once; a short Retry-After is waited for.
    wait = "2";
    await page.getByRole("button", { name: "Try again" }).click();
    await expect.poll(() => at.length, { timeout: 10_000 }).toBeGreaterThan(2);
    expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(2_000);
    wait = "";
    await expect(page.locator("main:not(.busy) .grid")).toBeVisible({ timeout: 20_000 });
  });
}
