// The one box of the reception: what it finds, and what registering makes of nobody found.
import { expect, type Page, test } from "@playwright/test";

import { bookButton, chip, openBooking, options, patientField, type Registered, register, send } from "./clinic.js";
import { desk, looks, visits } from "./page.js";

let aiko: Registered;
// A worker that begins anew finds only patients of its own.
const tag = String(Date.now())
  .slice(-6)
  .replace(/\d/g, (d) => "abcdefghij"[Number(d)] ?? "");
const sadeghi = `Sadeghi${tag}`;
const sadler = `Sadler${tag}`;
const year = 1900 + (Date.now() % 50); // nobody else in these tests is as old
const phone = String(Date.now()).slice(-7);

test.beforeAll(async () => {
  aiko = await register("Aiko", sadeghi, { birth_date: `${year}-03-17`, phone: `+41 44 ${phone}` });
  await register("Aiko", sadler, { birth_date: `${year}-12-03` });
});

async function finds(page: Page, text: string, who: string) {
  await patientField(page).fill(text);
  await expect(options(page).first(), text).toContainText(who);
  await expect(options(page), text).toHaveCount(1);
}

test("names as the desk writes them, birth dates as the viewer does, parts of numbers", async ({ browser }) => {
  const page = await desk(browser, "2027-09-01");
  await openBooking(page);
  for (const text of [
    `${sadeghi}, Aiko`,
    `aiko ${sadeghi.slice(0, -1)}`,
    `${year}-03-17`,
    `17/03/${year}`,
    `17.3.${year}`,
    `17 Mar ${year}`,
    `${sadeghi} 17/03/${year}`,
    phone,
    `044 ${phone}`,
    phone.slice(-5),
  ]) {
    await finds(page, text, `${sadeghi}, Aiko`);
  }
});

test("the record number, or the beginning of it", async ({ browser }) => {
  const page = await desk(browser, "2027-09-01");
  await openBooking(page);
  for (const text of [aiko.mrn, aiko.mrn.slice(0, -1)]) {
    await patientField(page).fill(text);
    await expect(options(page).filter({ hasText: aiko.mrn }), text).toHaveCount(1);
  }
});

test("3/12 is December or March as the viewer's language has it", async ({ browser }) => {
  const british = await desk(browser, "2027-09-01", { locale: "en-GB" });
  await openBooking(british);
  await finds(british, `03/12/${year}`, `${sadler}, Aiko`);
  await expect(options(british)).toContainText(`3 Dec ${year}`);
  const american = await desk(browser, "2027-09-01", { locale: "en-US" });
  await openBooking(american);
  await finds(american, `12/03/${year}`, `${sadler}, Aiko`);
  await expect(options(american)).toContainText(`Dec 3, ${year}`);
});

test("somebody alike is compared, and used or registered anyway", async ({ browser }) => {
  const page = await desk(browser, "2027-09-02");
  await openBooking(page);
  await page.keyboard.type(`${sadeghi} Aiko`);
  await expect(options(page)).toHaveCount(1);
  await page.getByRole("button", { name: "Register a new patient" }).click();
  await page.getByLabel("Born").fill(`${year}-03-17`);
  await page.getByRole("button", { name: "Register", exact: true }).click();
  const alike = page.getByRole("alert");
  await expect(alike).toContainText(`Aiko ${sadeghi}`);
  await expect(alike).toContainText(`born 17 Mar ${year}`);
  await expect(alike).toContainText(`+41 44 ${phone}`);
  await expect(alike).toContainText(aiko.mrn);
  await looks(page, "alike-light");
  // What was compared holds for what was entered, not for what is entered next.
  await page.getByLabel("Born").fill(`${year}-03-18`);
  await expect(alike).toHaveCount(0);
  await page.getByLabel("Born").fill(`${year}-03-17`);
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await page.getByRole("button", { name: /^Use this record/ }).click();
  await expect(chip(page)).toContainText(aiko.mrn);
  await bookButton(page).click();
  await expect(visits(page)).toHaveCount(1);
});

test("registered anyway, it is another record", async ({ browser }) => {
  const page = await desk(browser, "2027-09-03", { hasTouch: true, width: 1024, height: 768, colorScheme: "dark" });
  const known = await register("Noor", "Haidari", { birth_date: "2000-02-29" });
  await openBooking(page);
  await page.keyboard.type("Noor Haidari");
  await page.getByRole("button", { name: "Register a new patient" }).tap();
  await page.getByLabel("Born").fill("2000-02-29");
  await page.getByRole("button", { name: "Register", exact: true }).tap();
  await expect(page.getByRole("alert")).toContainText(known.mrn);
  await looks(page, "alike-dark");
  await page.getByRole("button", { name: "Register anyway" }).tap();
  await expect(chip(page)).toContainText("Noor Haidari");
  await expect(chip(page)).not.toContainText(known.mrn);
});

test("a registration that got no answer is kept, and made once when it is sent again", async ({ browser }) => {
  const page = await desk(browser, "2027-09-04");
  await openBooking(page);
  await page.keyboard.type("Pelle Sundqvist");
  await page.getByRole("button", { name: "Register a new patient" }).click();
  await page.getByLabel("Born").fill("1969-07-20");
  await page.route(/\/patients$/, async (route) => {
    await route.fetch();
    await route.abort("connectionreset");
  });
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("The server can't be reached.");
  await expect(page.getByLabel("Last name")).toHaveValue("Sundqvist");
  await page.unroute(/\/patients$/);
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(chip(page)).toContainText("Pelle Sundqvist");
  const { items } = await send<{ items: unknown[] }>("GET", "/patients?name=sundqvist");
  expect(items).toHaveLength(1);
});

test("a patient erased meanwhile is not booked, and another one is chosen", async ({ browser }) => {
  const page = await desk(browser, "2027-09-05");
  const gone = await register("Ugo", "Fabbri", { birth_date: "1955-05-05" });
  await openBooking(page);
  await patientField(page).fill("fabbri");
  await options(page).first().click();
  await expect(chip(page)).toBeVisible();
  await send("POST", `/patients/${gone.id}/erase`, { reason: "asked for it" });
  await bookButton(page).click();
  await expect(page.getByText("This patient's record no longer exists.")).toBeVisible();
  await expect(chip(page)).toHaveCount(0);
  await expect(bookButton(page)).toBeDisabled();
});
