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

interface Hours {
  timetables: { effective_from: string; blocks: { weekday: number; start: string; end: string }[] }[];
}
const hoursOf = (id: number | undefined) => send<Hours>("GET", `/doctors/${id}/working-hours`);

test("weekly hours are set by the keyboard, copied to other days and to other doctors", async ({ browser }) => {
  const doctors = await doctorsByName();
  const [nora, emile] = [doctors["Dr. Nora Frei"]?.id, doctors["Dr. Émile Ruf"]?.id];
  const page = await desk(browser, date);
  await open(page, `settings/doctors/${nora}`);
  await expect(inMain(page)).toContainText("the doctor can be booked at any time");
  await page.getByRole("button", { name: "Set weekly hours" }).focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("Valid from").fill("2028-05-01");
  const monday = page.getByRole("group", { name: "Monday" });
  await monday.getByRole("button", { name: "Add hours on Monday" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await monday.getByLabel("Monday, start 1").fill("7.30");
  await page.keyboard.press("Tab");
  await expect(monday.getByLabel("Monday, start 1")).toHaveValue("07:30");
  await monday.getByLabel("Monday, end 2").fill("12");
  await page.keyboard.press("Tab");
  await expect(monday.getByRole("alert")).toHaveText("The end must be after the start.");
  await expect(page.getByRole("button", { name: "Save hours" })).toBeDisabled();
  await monday.getByLabel("Monday, end 2").fill("18");
  await page.keyboard.press("Tab");
  await monday.getByRole("button", { name: "Copy Monday to other days" }).press("Enter");
  await expect(page.getByRole("dialog").getByLabel("Saturday")).not.toBeChecked();
  await looks(page, "settings-copy-day");
  await page.getByRole("dialog").getByRole("button", { name: "Copy", exact: true }).press("Enter");
  await expect(page.getByRole("group", { name: "Friday" }).getByLabel("Friday, end 2")).toHaveValue("18:00");
  await expect(inMain(page)).toContainText("47 h 30 min a week");
  await expect(inMain(page)).toContainText("Before Mon");
  await looks(page, "settings-hours");
  await page.getByRole("button", { name: "Save hours" }).press("Enter");
  await expect(toast(page, "The hours of Dr. Nora Frei are saved.")).toBeVisible();
  const saved = await hoursOf(nora);
  expect(saved.timetables).toHaveLength(1);
  expect(saved.timetables[0]?.blocks).toHaveLength(10);

  await page.getByRole("button", { name: "Copy to other doctors …" }).click();
  const dialog = page.getByRole("dialog", { name: "Copy these hours" });
  await dialog.getByLabel(/Émile Ruf/).check();
  await looks(page, "settings-copy-week");
  await dialog.getByRole("button", { name: "Copy", exact: true }).click();
  await expect(dialog).toContainText("Saved.");
  await dialog.getByRole("button", { name: "Close" }).last().click();
  expect((await hoursOf(emile)).timetables).toEqual(saved.timetables);

  await page.getByRole("button", { name: "New hours from a date" }).click();
  await page.getByLabel("Valid from").fill("2028-07-03");
  await page.getByRole("button", { name: /Remove 07:30 to 12:00 on Friday/ }).click();
  await page.getByRole("button", { name: "Save hours" }).click();
  await expect(page.getByLabel("Show")).toBeVisible();
  expect((await hoursOf(nora)).timetables.map((t) => [t.effective_from, t.blocks.length])).toEqual([
    ["2028-05-01", 10],
    ["2028-07-03", 9],
  ]);
  await toast(page, "are saved").last().getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, "are as before")).toBeVisible();
  expect((await hoursOf(nora)).timetables).toEqual(saved.timetables);
});

test("hours show what they leave out before they are saved, and what changed meanwhile", async ({ browser }) => {
  const ada = (await doctorsByName())["Dr. Ada Kern"]?.id;
  const page = await desk(browser, date, { answers: /status of 412/ });
  await open(page, `settings/doctors/${ada}`);
  await page.getByRole("button", { name: "Set weekly hours" }).click();
  for (const day of ["Tuesday", "Wednesday"]) await page.getByRole("button", { name: `Add hours on ${day}` }).click();
  // Booked there at 11:00 and 12:00.
  await expect(inMain(page)).toContainText("1 appointment would lie outside of these hours");
  await expect(inMain(page)).toContainText("Setz, Ida");
  await looks(page, "settings-hours-affected");
  await send("PUT", `/doctors/${ada}/working-hours`, {
    timetables: [{ effective_from: "2020-01-01", blocks: [] }],
    exceptions: [],
  });
  await page.getByRole("button", { name: "Save hours" }).click();
  await expect(inMain(page).getByRole("alert")).toContainText("has changed meanwhile");
  await page.getByRole("button", { name: "Save hours" }).click();
  await expect(toast(page, "1 appointment to be moved or cancelled")).toBeVisible();
  expect((await hoursOf(ada)).timetables).toHaveLength(2);
});

test("time off is added with what is booked shown before, removed, and put back", async ({ browser }) => {
  const ada = (await doctorsByName())["Dr. Ada Kern"]?.id;
  const page = await desk(browser, date);
  await open(page, `settings/doctors/${ada}`);
  await expect(inMain(page)).toContainText("None from today on.");
  await page.getByRole("button", { name: "Add time off" }).press("Enter");
  const dialog = page.getByRole("dialog", { name: "Time off of Dr. Ada Kern" });
  await dialog.getByLabel("First day").fill(date);
  await dialog.getByLabel("Last day").fill("2028-05-05");
  await expect(dialog).toContainText("2 appointments then stay booked");
  await dialog.getByLabel("Note").fill("Back on Saturday");
  await looks(page, "settings-time-off-add");
  await dialog.getByRole("button", { name: "Add", exact: true }).press("Enter");
  await expect(toast(page, "2 appointments to be moved or cancelled")).toBeVisible();
  await expect(inMain(page)).toContainText(/Tue,? 2 May to Fri,? 5 May 2028/);
  await expect(inMain(page)).toContainText("Holiday · Back on Saturday");

  await page.getByRole("button", { name: "Add time off" }).click();
  await dialog.getByLabel("Part of a day").check();
  await dialog.getByLabel("Day", { exact: true }).fill("2028-06-01");
  await dialog.getByLabel("To", { exact: true }).fill("07:00");
  await expect(dialog.getByRole("alert")).toHaveText("The end must be after the start.");
  await dialog.getByLabel("To", { exact: true }).fill("09:30");
  await expect(dialog).toContainText("No appointments then.");
  await dialog.getByLabel("Reason").selectOption("Training");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(inMain(page)).toContainText(/Thu,? 1 Jun 2028, 08:00 to 09:30/);
  await page.getByRole("heading", { name: "Time off" }).scrollIntoViewIfNeeded();
  await looks(page, "settings-time-off");
  const entries = page.locator(".off-list li");
  await entries.first().getByRole("button", { name: "Remove" }).click();
  await expect(entries).toHaveCount(1);
  await toast(page, "is removed").getByRole("button", { name: "Undo" }).click();
  await expect(entries).toHaveCount(2);
  await expect(inMain(page)).toContainText("Holiday · Back on Saturday");
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
