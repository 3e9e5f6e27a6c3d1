// A clinic is set up in the browser. It has a server of its own, since it begins without doctors.
import { expect, type Page, test } from "@playwright/test";

import { startMems } from "../../../../gen/server.mjs";
import { register, send } from "./clinic.js";
import { api } from "./data.js";
import { desk, looks } from "./page.js";

test.describe.configure({ mode: "serial" });

const before = { url: process.env.DESK_URL, key: process.env.DESK_KEY };
let stop = async () => {};

test.beforeAll(async () => {
  const server = await startMems({ MEMS_CLINIC_TIME_ZONE: "Europe/Zurich" });
  stop = server.stop;
  process.env.DESK_URL = server.url;
  process.env.DESK_KEY = server.apiKey;
});

test.afterAll(async () => {
  process.env.DESK_URL = before.url;
  process.env.DESK_KEY = before.key;
  await stop();
});

const date = "2028-05-02"; // a Tuesday

async function open(page: Page, below: string): Promise<number | undefined> {
  return (await page.goto(`${process.env.DESK_URL}/reception/${below}`))?.status();
}

const heading = (page: Page, name: string | RegExp) => page.getByRole("heading", { level: 2, name });
const toast = (page: Page, text: string | RegExp) => page.locator(".toast").filter({ hasText: text });
const inMain = (page: Page) => page.locator("main");

/** A desk that is signed in with a key of a role, at an address. */
async function deskOf(page: Page, role: string, below: string): Promise<void> {
  const made = await api<{ key: string }>("POST", "/api-keys", { name: `settings ${role} ${Date.now()}`, role });
  await page.goto(`${process.env.DESK_URL}/reception/${below}`);
  await page.getByLabel("Key").fill(made.key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function doctorsByName(): Promise<Record<string, { id: number; is_active: boolean; overbook_cap: number }>> {
  const { items } = await send<{
    items: { id: number; full_name: string; is_active: boolean; overbook_cap: number }[];
  }>("GET", "/doctors?limit=200");
  return Object.fromEntries(items.map((d) => [d.full_name, d]));
}

test("a clinic without doctors leads to its first one, by the keyboard", async ({ browser }) => {
  const page = await desk(browser, date);
  await expect(heading(page, "There are no doctors yet")).toBeVisible();
  await looks(page, "first-run");
  const loaded: string[] = [];
  page.on("request", (r) => loaded.push(new URL(r.url()).pathname));
  await page.getByRole("link", { name: "Add doctors" }).focus();
  await page.keyboard.press("Enter");
  await expect(heading(page, "Doctors")).toBeVisible();
  // What the settings need comes with them, not with the day.
  expect(loaded.filter((p) => /Settings-.*\.js$/.test(p))).toHaveLength(1);
  expect(page.url()).toMatch(/\/reception\/settings\/doctors$/);
  await expect(page).toHaveTitle("Doctors · Settings · Reception");
  await looks(page, "settings-doctors-empty");
  await page.getByRole("button", { name: "Add a doctor" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Add a doctor" });
  await expect(dialog.getByLabel("Name")).toBeFocused();
  await page.keyboard.type("Dr. Nora Frei");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Dermatology");
  await page.keyboard.press("Enter");
  await expect(heading(page, "Dr. Nora Frei")).toBeVisible();
  await expect(toast(page, "Next: the weekly hours")).toBeVisible();
  await expect(page).toHaveTitle("Dr. Nora Frei · Settings · Reception");
  await page.keyboard.press("d");
  await expect(page.locator(".column-head")).toContainText(["Nora Frei"]);
  await page.goBack();
  await expect(heading(page, "Dr. Nora Frei")).toBeVisible();
  await page.goBack();
  await expect(heading(page, "Doctors")).toBeVisible();
});

test("doctors are found, changed and deactivated, with what is booked shown before", async ({ browser }) => {
  for (const [full_name, specialization] of [
    ["Dr. Émile Ruf", "Cardiology"],
    ["Dr. Ada Kern", "Cardiology"],
  ])
    await send("POST", "/doctors", { full_name, specialization });
  const ada = (await doctorsByName())["Dr. Ada Kern"]?.id;
  const patient = await register("Ida", "Setz");
  for (const hour of [9, 10])
    await send("POST", "/appointments", {
      patient_id: patient.id,
      doctor_id: ada,
      start_time: `${date}T${String(hour).padStart(2, "0")}:00:00Z`,
      duration_minutes: 30,
    });
  const page = await desk(browser, date);
  await page.keyboard.press("s");
  const rows = page.locator("tbody tr");
  await expect(rows).toHaveCount(3);
  await looks(page, "settings-doctors");
  await page.getByLabel("Name or specialization").fill("emile");
  await expect(rows).toHaveCount(1);
  await page.getByLabel("Name or specialization").fill("nobody");
  await expect(inMain(page)).toContainText("No doctors match.");
  await page.getByRole("button", { name: "Show all" }).click();
  await page.getByRole("link", { name: "Dr. Ada Kern" }).click();

  await page.getByRole("button", { name: "Edit" }).click();
  const edit = page.getByRole("dialog", { name: "Edit Dr. Ada Kern" });
  await edit.getByLabel("Overbooking").fill("2");
  await looks(page, "settings-doctor-edit");
  await edit.getByRole("button", { name: "Save" }).click();
  await expect(inMain(page)).toContainText("Up to 2 more");
  expect((await doctorsByName())["Dr. Ada Kern"]?.overbook_cap).toBe(2);

  await page.getByRole("button", { name: "Deactivate …" }).click();
  const dialog = page.getByRole("dialog", { name: "Deactivate Dr. Ada Kern" });
  await expect(dialog).toContainText("2 appointments stay booked.");
  await expect(dialog).toContainText("Setz, Ida");
  await looks(page, "settings-deactivate");
  await dialog.getByRole("button", { name: "Deactivate" }).click();
  await expect(inMain(page)).toContainText("Inactive: takes no new bookings.");
  expect((await doctorsByName())["Dr. Ada Kern"]?.is_active).toBe(false);
  await page.getByRole("link", { name: "Doctors", exact: false }).first().click();
  await page.getByLabel("Show").selectOption("Inactive");
  await expect(rows).toHaveCount(1);
  await rows.getByRole("link").click();
  await page.getByRole("button", { name: "Activate" }).click();
  await expect(toast(page, "takes bookings again")).toBeVisible();
  await toast(page, "takes bookings again").getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, "is as before")).toBeVisible();
  expect((await doctorsByName())["Dr. Ada Kern"]?.is_active).toBe(false);
  await send("PATCH", `/doctors/${ada}`, { is_active: true });
  await expect(page.getByRole("button", { name: "Deactivate …" })).toBeVisible();
});

test("what another desk changed meanwhile is not replaced unseen", async ({ browser }) => {
  const { id } = (await doctorsByName())["Dr. Émile Ruf"] ?? { id: 0 };
  const page = await desk(browser, date, { answers: /status of 412/ });
  await open(page, `settings/doctors/${id}`);
  await page.getByRole("button", { name: "Edit" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Specialization").fill("Angiology");
  await send("PATCH", `/doctors/${id}`, { overbook_cap: 1 });
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toContainText("has changed meanwhile");
  await expect(dialog.getByLabel("Specialization")).toHaveValue("Angiology");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(inMain(page)).toContainText("Angiology");
});

test("addresses of the settings that lead nowhere say so", async ({ browser }) => {
  const page = await desk(browser, date, { answers: /status of 404/ });
  expect(await open(page, "settings/doctors/999")).toBe(200);
  await expect(heading(page, "There is no such doctor")).toBeVisible();
  await page.getByRole("link", { name: "‹ Doctors" }).click();
  await expect(heading(page, "Doctors")).toBeVisible();
  expect(await open(page, "settings/secrets")).toBe(404);
  await expect(page.getByRole("heading", { name: "There is no page at this address" })).toBeVisible();
});

test("the settings are for those who may change them", async ({ browser }) => {
  const { id } = (await doctorsByName())["Dr. Nora Frei"] ?? { id: 0 };
  const page = await (await browser.newContext()).newPage();
  await deskOf(page, "receptionist", `settings/doctors/${id}`);
  await expect(heading(page, "Dr. Nora Frei")).toBeVisible();
  await expect(page.getByRole("link", { name: "Settings" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: /Edit|Deactivate/ })).toHaveCount(0);
  await page.context().close();
});

test("a refusal and a server in trouble are said in the form, and what was typed is kept", async ({ browser }) => {
  const page = await desk(browser, date, { answers: /status of (403|500)/ });
  await open(page, "settings/doctors");
  for (const [status, type, text] of [
    [403, "/problems/forbidden", "You don't have permission to do this."],
    [500, "/problems/internal-error", "What you entered is kept."],
  ] as const) {
    await page.route("**/doctors", (route) =>
      route.request().method() === "POST"
        ? route.fulfill({
            status,
            contentType: "application/problem+json",
            json: { type, title: "No", status, detail: "API text", instance: "/x", request_id: "x" },
          })
        : route.fallback(),
    );
    await page.getByRole("button", { name: "Add a doctor" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("Dr. Never");
    await dialog.getByLabel("Specialization").fill("None");
    await dialog.getByRole("button", { name: "Add", exact: true }).click();
    await expect(dialog.getByRole("alert")).toContainText(text);
    await expect(dialog).not.toContainText("API text");
    await expect(dialog.getByLabel("Name")).toHaveValue("Dr. Never");
    await page.keyboard.press("Escape");
    await page.unroute("**/doctors");
  }
  await page.route("**/Settings-*.js", (route) => route.abort());
  await page.reload();
  await expect(page.getByRole("heading", { name: "The settings could not be loaded" })).toBeVisible();
  await page.unroute("**/Settings-*.js");
  await page.getByRole("button", { name: "Load again" }).click();
  await expect(heading(page, "Doctors")).toBeVisible();
});

for (const [name, options] of [
  ["dark", { colorScheme: "dark" }],
  ["phone", { width: 390, height: 844 }],
] as const)
  test(`the settings in ${name}`, async ({ browser }) => {
    const { id } = (await doctorsByName())["Dr. Ada Kern"] ?? { id: 0 };
    const page = await desk(browser, date, options);
    await open(page, "settings/doctors");
    await expect(page.locator("tbody tr")).toHaveCount(3);
    await looks(page, `settings-doctors-${name}`);
    await open(page, `settings/doctors/${id}`);
    await expect(heading(page, "Dr. Ada Kern")).toBeVisible();
    await looks(page, `settings-doctor-${name}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  });
