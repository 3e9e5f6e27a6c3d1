// The patient beside the day: contact, appointments and what can be done with them, waitlist, series, household.
import { expect, type Page, test } from "@playwright/test";

import { appointmentsOf, type Booked, bookButton, chip, doctorNamed, options, register, send } from "./clinic.js";
import { desk, looks, visits } from "./page.js";

const date = "2028-08-15"; // a Tuesday
const tag = Array.from(String(Date.now()).slice(-6), (d) => "abcdefghij"[Number(d)]).join("");
const last = `Lindqvist${tag}`;
const phone = `+41 44 555 ${String(Date.now()).slice(-7, -5)} ${String(Date.now()).slice(-5)}`;
let hanna = 0;
let roth = 0;
let first: Booked;

const panel = (page: Page) => page.getByRole("complementary", { name: `Hanna ${last}` });
const upcoming = (page: Page) => panel(page).locator("section").filter({ hasText: "Upcoming" });
const dialog = (page: Page) => page.getByRole("dialog");
const status = async (id: number) => (await send<{ status: string }>("GET", `/appointments/${id}`)).status;

const book = (start_time: string, more: object = {}) =>
  send<Booked>("POST", "/appointments", {
    patient_id: hanna,
    doctor_id: roth,
    start_time,
    duration_minutes: 30,
    ...more,
  });

test.beforeAll(async () => {
  roth = await doctorNamed("Dr. Mia Roth");
  // After a failure, a new worker finds what the first one made.
  const window = "from=2028-08-15T00:00:00Z&to=2028-12-31T00:00:00Z";
  const left = await send<{ items: Booked[] }>("GET", `/appointments?doctor_id=${roth}&${window}`);
  for (const a of left.items)
    if ((await status(a.id)) === "scheduled")
      await send("POST", `/appointments/${a.id}/cancel`, { reason: "booked_in_error" });
  hanna = (
    await register("Hanna", last, {
      birth_date: "1984-03-17",
      phone,
      email: `hanna@${tag}.example`,
      on_possible_duplicate: "accept",
    })
  ).id;
  await register("Nils", `Berg${tag}`, { birth_date: "2015-05-05", phone });
  first = await book(`${date}T07:00:00Z`, { reason: "Knee pain" });
  await book("2028-09-05T08:30:00Z");
  const gone = await book("2028-08-22T07:00:00Z");
  await send("POST", `/appointments/${gone.id}/cancel`, { reason: "doctor_unavailable" });
  await send("POST", "/appointment-series", {
    patient_id: hanna,
    doctor_id: roth,
    start_time: "2028-10-03T09:00:00Z",
    rule: "FREQ=WEEKLY;COUNT=3;BYDAY=TU",
    duration_minutes: 30,
  });
  await send("POST", "/waitlist", {
    patient_id: hanna,
    specialization: "Cardiology",
    duration_minutes: 60,
    // By night, when nobody works: nothing is offered at once.
    from: "2028-11-07T17:00:00Z",
    to: "2028-11-07T22:00:00Z",
    note: "Can be here in an hour",
  });
});

async function open(page: Page) {
  await page.keyboard.press("/");
  await page.keyboard.type(last);
  await expect(options(page)).toHaveCount(1);
  await page.keyboard.press("Enter");
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [width, height] of [
    [1280, 800],
    [390, 844],
  ] as const) {
    test(`shows all that is arranged, ${colorScheme} at ${width}x${height}`, async ({ browser }) => {
      const page = await desk(browser, date, { colorScheme, width, height });
      await open(page);
      const shown = width > 900 ? panel(page) : dialog(page);
      await expect(shown).toContainText("born 17 Mar 1984");
      await expect(shown.getByRole("link", { name: phone })).toHaveAttribute(
        "href",
        `tel:${phone.replaceAll(" ", "")}`,
      );
      await expect(shown.getByRole("link", { name: /@/ })).toHaveAttribute("href", `mailto:hanna@${tag}.example`);
      await expect(shown).toContainText("Knee pain");
      await expect(shown).toContainText("Every week on Tuesday, 3 times");
      await expect(shown).toContainText("3 of 3 to come");
      await expect(shown).toContainText("Cardiology · 1 h");
      await expect(shown).toContainText("Can be here in an hour");
      await expect(shown.getByRole("button", { name: `Berg${tag}, Nils` })).toBeVisible();
      await expect(shown.getByText("Doctor unavailable")).toBeHidden();
      await looks(page, `panel-${colorScheme}-${width}`);
      await shown.getByText("Cancelled", { exact: false }).first().click();
      await expect(shown.getByText("Doctor unavailable")).toBeVisible();
      await page.screenshot({ path: `test-results/panel-cancelled-${colorScheme}-${width}.png` });
      if (width < 900) return;
      // Beside the day: nothing is covered, and the day can be worked with.
      const calendar = await page.locator("#main").boundingBox();
      const beside = await panel(page).boundingBox();
      expect((calendar?.x ?? 0) + (calendar?.width ?? 0)).toBeLessThanOrEqual(beside?.x ?? 0);
      await page.keyboard.press("n");
      await expect(page.getByRole("heading", { level: 1 })).toContainText("16 August");
      await expect(panel(page)).toBeVisible();
    });
  }
}

test("by the keyboard: opened, an appointment moved and put back, closed", async ({ browser }) => {
  const page = await desk(browser, date);
  await open(page);
  await expect(page.getByRole("heading", { level: 2, name: `Hanna ${last}` })).toBeFocused();
  await expect(panel(page)).toContainText("Upcoming");
  await panel(page).getByRole("button", { name: "Move …" }).first().press("Enter");
  await dialog(page).getByLabel("Time").fill("11:00");
  await dialog(page).getByRole("button", { name: "Move", exact: true }).press("Enter");
  await expect(panel(page)).toContainText("15 Aug 2028, 11:00");
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await expect(panel(page)).toContainText("15 Aug 2028, 09:00");
  await page.keyboard.press("Escape");
  await expect(panel(page)).toHaveCount(0);
});

test("cancelled from the panel, and booked again at the same time", async ({ browser }) => {
  const page = await desk(browser, date);
  await open(page);
  await panel(page).getByRole("button", { name: "Cancel …" }).first().click();
  await dialog(page).getByLabel("Why is it cancelled?").selectOption("patient_request");
  await dialog(page).getByRole("button", { name: "Cancel the visit" }).click();
  await expect(dialog(page)).toHaveCount(0);
  expect(await status(first.id)).toBe("cancelled");
  await expect(upcoming(page)).not.toContainText("15 Aug 2028");
  await panel(page).locator("summary").click();
  const cancelled = panel(page).getByRole("listitem").filter({ hasText: "15 Aug 2028" });
  await expect(cancelled).toContainText("Patient's request");
  await cancelled.getByRole("button", { name: "Book again" }).click();
  await expect(chip(page)).toContainText("Hanna");
  await expect(dialog(page).getByLabel("Time")).toHaveValue("09:00");
  await expect(dialog(page).getByLabel("Reason")).toHaveValue("Knee pain");
  await bookButton(page).click();
  await expect(dialog(page)).toHaveCount(0);
  await expect(upcoming(page)).toContainText("15 Aug 2028, 09:00");
  await expect(visits(page)).toHaveCount(1);
});

test("no-shows are counted, and a missed one is booked again at the next free time", async ({ browser }) => {
  const page = await desk(browser, date);
  // One that was missed a year ago: the server takes none in the past.
  await page.route(/\/appointments\?.*patient_id=/, async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { items: (Booked & { status: string; end_time: string })[] };
    const [one] = body.items;
    if (!one) throw new Error("no appointment");
    const past = { start_time: "2026-02-03T09:00:00Z", end_time: "2026-02-03T09:30:00Z" };
    body.items.unshift({ ...one, ...past, id: 9_000_001, status: "no_show" });
    await route.fulfill({ response: answer, json: body });
  });
  await open(page);
  await expect(panel(page)).toContainText("1 no-show");
  const missed = panel(page).getByRole("listitem").filter({ hasText: "2026" });
  await expect(missed).toContainText("No-show");
  await missed.getByRole("button", { name: "Book again" }).click();
  await expect(dialog(page).getByLabel("Doctor")).toHaveValue(String(roth));
  await expect(bookButton(page)).toBeEnabled();
});

test("the record is changed, not over what somebody else changed meanwhile, and taken back", async ({ browser }) => {
  const page = await desk(browser, date, { answers: /status of 412/ });
  await open(page);
  await panel(page).getByRole("button", { name: "Edit" }).click();
  await expect(panel(page).getByLabel("First name")).toBeFocused();
  await expect(panel(page).getByLabel("Last name")).toHaveAttribute("maxlength", /\d+/);
  await panel(page).getByLabel("E-mail").fill("");
  await send("PATCH", `/patients/${hanna}`, { birth_date: "1984-03-18" });
  await page.keyboard.press("Enter");
  await expect(panel(page).getByRole("alert")).toContainText("The record has changed meanwhile.");
  await looks(page, "panel-edit-light");
  await panel(page).getByRole("button", { name: "Save" }).click();
  await expect(panel(page).getByRole("link", { name: /@/ })).toHaveCount(0);
  await expect(panel(page)).toContainText("born 18 Mar 1984");
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await expect(panel(page).getByRole("link", { name: /@/ })).toBeVisible();
  // Escape gives the form up first, then the panel.
  await panel(page).getByRole("button", { name: "Edit" }).click();
  await page.keyboard.press("Escape");
  await expect(panel(page).getByRole("button", { name: "Edit" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(panel(page)).toHaveCount(0);
});

test("what changes elsewhere is shown, and others' changes are not read", async ({ browser }) => {
  const page = await desk(browser, date);
  await expect(page.getByText("Live")).toBeVisible();
  await open(page);
  await expect(panel(page)).toContainText("Household");
  await page.waitForTimeout(500);
  const asked: string[] = [];
  page.on("request", (r) => r.headers()["x-api-key"] && asked.push(new URL(r.url()).pathname));
  const other = await register("Ole", `Anders${tag}`);
  await send("POST", "/appointments", {
    patient_id: other.id,
    doctor_id: roth,
    start_time: `${date}T12:00:00Z`,
    duration_minutes: 30,
  });
  await expect(visits(page).filter({ hasText: `Anders${tag}` })).toBeVisible();
  expect(asked).toEqual([]);
  await book("2028-08-29T07:15:00Z");
  await expect(panel(page)).toContainText("29 Aug 2028, 09:15");
});

test("the rest of a series is cancelled, and a waitlist entry is removed", async ({ browser }) => {
  const page = await desk(browser, date);
  await open(page);
  await panel(page).getByRole("button", { name: "Cancel the rest …" }).click();
  await looks(page, "panel-series-light");
  await panel(page).getByRole("button", { name: "Cancel 3 appointments" }).click();
  await expect(panel(page)).not.toContainText("Every week on Tuesday");
  await panel(page).getByRole("button", { name: "Remove" }).click();
  await expect(panel(page)).not.toContainText("Waitlist");
  const dates = (await appointmentsOf(hanna)).filter((a) => a.start_time.startsWith("2028-10"));
  expect(await Promise.all(dates.map((a) => status(a.id)))).toEqual(["cancelled", "cancelled", "cancelled"]);
});

test("a time that is offered is booked with one click", async ({ browser }) => {
  const page = await desk(browser, date);
  // Soon: times are offered no further ahead than they are searched.
  const day = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10);
  await send("POST", "/waitlist", {
    patient_id: hanna,
    doctor_ids: [roth],
    duration_minutes: 30,
    from: `${day}T07:00:00Z`,
    to: `${day}T10:00:00Z`,
  });
  await open(page);
  await expect(panel(page)).toContainText(/Offered: .*, Dr. Mia Roth, until/);
  await looks(page, "panel-offer-light");
  await panel(page).getByRole("button", { name: "Book this time" }).click();
  await expect(panel(page)).not.toContainText("Waitlist");
  await expect.poll(async () => (await appointmentsOf(hanna)).some((a) => a.start_time.startsWith(day))).toBe(true);
});

test("another one of the household is one click away", async ({ browser }) => {
  const page = await desk(browser, date);
  await open(page);
  await panel(page)
    .getByRole("button", { name: `Berg${tag}, Nils` })
    .click();
  const nils = page.getByRole("complementary", { name: `Nils Berg${tag}` });
  await expect(nils.getByRole("button", { name: `Lindqvist${tag}, Hanna` })).toBeVisible();
  await expect(nils).toContainText("No appointments.");
});
