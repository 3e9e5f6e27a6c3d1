// How much the desk asks the server for: one schedule for each day that is shown, nothing for a change.
import { expect, type Page, test } from "@playwright/test";

import { send } from "./clinic.js";
import { appointment } from "./data.js";
import { desk, go, visits } from "./page.js";

const day = "2029-02-05";

// Doctors who have left, whom only these tests' desks take for active: no other test sees their columns.
test.beforeAll(async () => {
  const { items } = await send<{ items: unknown[] }>("GET", "/doctors?limit=200");
  for (let i = items.length; i < 30; i++) {
    const name = `Dr. Number ${i + 1}`;
    await send("POST", "/doctors", { full_name: name, specialization: "Locum", is_active: false });
  }
});

interface DoctorList {
  items: { id: number; is_active: boolean }[];
}

/** A desk of a clinic with so many doctors, and the API's requests since it was opened. */
async function clinicOf(page: Page, doctors: number): Promise<string[]> {
  const asked: string[] = [];
  await page.route(
    (url) => url.pathname === "/doctors",
    async (route) => {
      const answer = await route.fetch();
      const { items, ...rest } = (await answer.json()) as DoctorList;
      const some = items.slice(0, doctors).map((d) => ({ ...d, is_active: true }));
      await route.fulfill({ response: answer, json: { ...rest, items: some } });
    },
  );
  page.on("request", (r) => {
    if (r.headers()["x-api-key"]) asked.push(new URL(r.url()).pathname);
  });
  await page.reload();
  await expect(page.getByText("Live")).toBeVisible();
  await expect(page.locator(".column-head")).toHaveCount(doctors);
  await page.waitForTimeout(500); // read once more when the line came up
  return asked;
}

for (const doctors of [12, 30]) {
  test(`a day of ${doctors} doctors is one request`, async ({ browser }) => {
    const page = await desk(browser, day);
    const asked = await clinicOf(page, doctors);
    console.log(`a desk of ${doctors} doctors is opened with ${asked.length} requests: ${asked.join(" ")}`);
    expect(asked.filter((p) => p === "/schedule").length).toBeLessThanOrEqual(2);
    expect(asked.length).toBeLessThanOrEqual(8);
    asked.length = 0;
    await go(page, "2029-02-06");
    expect(asked).toEqual(["/schedule"]);
    await page.keyboard.press("w");
    await expect(page.locator("main:not(.busy) [data-column]")).toHaveCount(7);
    expect(asked).toEqual(["/schedule", "/schedule"]);
    await page.keyboard.press("d");
    await expect(page.locator("main:not(.busy) [data-column]")).toHaveCount(doctors);
    expect(asked).toHaveLength(2);
  });
}

test("what another browser changes arrives without a request", async ({ browser }) => {
  const one = await desk(browser, day);
  await expect(one.getByText("Live")).toBeVisible();
  await go(one, "2029-02-06"); // kept current as well while another day is shown
  await go(one, day);
  await one.waitForTimeout(500);
  const asked: string[] = [];
  one.on("request", (r) => r.headers()["x-api-key"] && asked.push(`${r.method()} ${new URL(r.url()).pathname}`));
  const since = Date.now();
  const { id } = await appointment(`${day}T08:00:00Z`, 2);
  await expect(visits(one)).toHaveAttribute("aria-label", /Keller, Tom/);
  console.log(`the other browser shows it after at most ${Date.now() - since} ms`);
  await send("PATCH", "/patients/2", { first_name: "Tim" });
  await expect(visits(one)).toHaveAttribute("aria-label", /Keller, Tim/);
  await send("PATCH", "/patients/2", { first_name: "Tom" });
  await send("POST", `/appointments/${id}/reschedule`, { start_time: "2029-02-06T08:00:00Z", doctor_id: 2 });
  await expect(visits(one)).toHaveCount(0);
  await go(one, "2029-02-06");
  await expect(visits(one)).toHaveCount(1);
  await send("POST", `/appointments/${id}/cancel`, { reason: "other" });
  await expect(visits(one)).toHaveCount(0);
  expect(asked).toEqual([]);
});
