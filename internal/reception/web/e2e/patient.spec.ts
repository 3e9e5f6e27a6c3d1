// The desk books whom it shows: choosing a patient, and giving the choice up.
import { expect, test } from "@playwright/test";

import {
  appointmentsOf,
  bookButton,
  chip,
  choose,
  openBooking,
  options,
  patientField,
  type Registered,
  register,
  send,
} from "./clinic.js";
import { desk, looks, visits } from "./page.js";

let andrei: Registered;
let namesake: Registered;
let marek: Registered;

test.beforeAll(async () => {
  andrei = await register("Andrei", "Haddad", { birth_date: "1984-03-17", phone: "+41 44 555 01 77" });
  namesake = await register("Andrei", "Haddad", { birth_date: "2001-11-05" });
  marek = await register("Marek", "Kaur", { birth_date: "1971-09-30" });
});

test("an edit gives the choice up; the button says whom it books", async ({ browser }) => {
  const page = await desk(browser, "2027-07-01");
  await openBooking(page);
  await expect(bookButton(page)).toBeDisabled();
  await patientField(page).fill("Haddad");
  await expect(options(page)).toHaveCount(2);
  await options(page).filter({ hasText: "17 Mar 1984" }).click();
  await expect(chip(page)).toContainText("Andrei Haddad");
  await expect(chip(page)).toContainText("born 17 Mar 1984");
  await expect(chip(page)).toContainText(andrei.mrn);
  await expect(page.getByRole("button", { name: "Book Andrei Haddad" })).toBeEnabled();
  await looks(page, "chosen-light");
  await patientField(page).fill("Kaur Marek");
  await expect(chip(page)).toHaveCount(0);
  await expect(bookButton(page)).toBeDisabled();
  await options(page).filter({ hasText: "Kaur, Marek" }).click();
  await page.getByRole("button", { name: "Book Marek Kaur" }).click();
  await expect(visits(page)).toHaveCount(1);
  expect(await appointmentsOf(andrei.id)).toHaveLength(0);
  expect(await appointmentsOf(marek.id)).toHaveLength(1);
});

test("by the keyboard: Backspace gives the choice up, and two of one name are told apart", async ({ browser }) => {
  const page = await desk(browser, "2027-07-02", { colorScheme: "dark" });
  await openBooking(page);
  await page.keyboard.type("haddad");
  await expect(options(page)).toHaveCount(2);
  await expect(options(page).nth(1)).toContainText("5 Nov 2001");
  await expect(options(page).nth(1)).toContainText(namesake.mrn);
  await looks(page, "namesakes-dark");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(chip(page)).toContainText(namesake.mrn);
  await page.keyboard.press("Backspace");
  await expect(chip(page)).toHaveCount(0);
  await expect(bookButton(page)).toBeDisabled();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  expect(await appointmentsOf(namesake.id)).toHaveLength(0);
});

test("by touch, in a walk-in: removed by its button, and the button says who is added", async ({ browser }) => {
  const page = await desk(browser, "2027-07-01", { hasTouch: true, width: 1024, height: 768 });
  await page.getByRole("link", { name: "Check-in" }).tap();
  await page.getByRole("button", { name: "Today" }).tap();
  await page.getByRole("button", { name: "Take a walk-in" }).tap();
  await patientField(page).tap();
  await patientField(page).fill("kaur");
  await options(page).first().tap();
  await expect(page.getByRole("button", { name: "Add Marek Kaur to queue" })).toBeEnabled();
  await page.getByRole("button", { name: "Remove Marek Kaur" }).tap();
  await expect(page.getByRole("button", { name: "Add to queue" })).toBeDisabled();
  await patientField(page).fill("haddad");
  await options(page).filter({ hasText: "5 Nov 2001" }).tap();
  await patientField(page).fill("x");
  await expect(page.getByRole("button", { name: "Add to queue" })).toBeDisabled();
});

test("an answer to what was typed before is not shown, and Enter does not choose from it", async ({ browser }) => {
  const page = await desk(browser, "2027-07-03");
  // The answer for Haddad is held back until Kaur was asked for, too.
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await page.route(/\/patients\?/, async (route) => {
    if (/haddad/i.test(decodeURIComponent(route.request().url()))) await held;
    await route.continue().catch(() => {}); // given up by the desk meanwhile
  });
  await openBooking(page);
  const asked = page.waitForRequest(/haddad/i);
  await page.keyboard.type("haddad");
  await asked;
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog").getByText("Searching …")).toBeVisible();
  await patientField(page).fill("kaur");
  await expect(options(page)).toHaveCount(1);
  release();
  await page.keyboard.press("Enter");
  await expect(chip(page)).toContainText("Marek Kaur");
  await expect(options(page)).toHaveCount(0);
});

test("Enter before the answer chooses the only patient that is found, and books nobody", async ({ browser }) => {
  const page = await desk(browser, "2027-07-03");
  await openBooking(page);
  await page.keyboard.type("kaur");
  await page.keyboard.press("Enter");
  await expect(chip(page)).toContainText("Marek Kaur");
  await expect(page.getByRole("dialog")).toBeVisible();
  await expect(visits(page)).toHaveCount(0);
});

test("a conflict keeps the patient, and so does registering somebody new", async ({ browser }) => {
  const page = await desk(browser, "2027-07-04");
  await openBooking(page, "12:15");
  await choose(page, "kaur");
  await page.getByRole("button", { name: "Book Marek Kaur" }).click();
  await expect(page.getByRole("alert")).toContainText("Outside the doctor's working hours");
  await expect(chip(page)).toContainText("Marek Kaur");
  // Another patient is another request: what was said of the first one goes.
  await patientField(page).fill("Nuala Ronan");
  await expect(page.getByRole("alert")).toHaveCount(0);
  await page.getByRole("button", { name: "Register a new patient" }).click();
  await page.getByLabel("Born").fill("1990-05-05");
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await expect(chip(page)).toContainText("born 5 May 1990");
  await expect(page.getByRole("button", { name: "Book Nuala Ronan" })).toBeEnabled();
});

test("a patient merged meanwhile is replaced by the surviving record, and nobody is booked unseen", async ({
  browser,
}) => {
  const page = await desk(browser, "2027-07-05");
  const kept = await register("Ilse", "Brandt", { birth_date: "1966-06-06" });
  const twin = await register("Ilsa", "Brandtner", { birth_date: "1966-06-06" });
  await openBooking(page);
  await choose(page, "brandtner");
  await send("POST", `/patients/${kept.id}/merge`, { duplicate_id: twin.id });
  await page.getByRole("button", { name: "Book Ilsa Brandtner" }).click();
  await expect(page.getByText("merged into the one shown now")).toBeVisible();
  await expect(chip(page)).toContainText(kept.mrn);
  await page.getByRole("button", { name: "Book Ilse Brandt" }).click();
  await expect(visits(page)).toHaveCount(1);
});
