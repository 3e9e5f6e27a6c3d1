import { expect, test } from "@playwright/test";

import { asked, desk, looks, visits } from "./page.js";

test("booked outside the working hours on purpose, with a reason that is kept", async ({ browser }) => {
  const page = await desk(browser, "2027-06-10");
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type("muster", { delay: 20 });
  await expect(page.getByRole("option").first()).toContainText("Muster");
  await page.keyboard.press("Enter");
  await page.getByLabel("Time").fill("12:15");
  await page.getByRole("button", { name: /^Book (?!anyway)/ }).click();
  await expect(page.getByRole("alert")).toContainText("working hours");
  await page.getByRole("button", { name: "Book anyway …" }).click();
  const why = page.getByLabel("Why is it to be booked outside the doctor's working hours?");
  await expect(why).toBeFocused();
  await expect(page.getByRole("button", { name: "Book anyway", exact: true })).toBeDisabled();
  await page.keyboard.type("Comes from far away");
  await looks(page, "override-light");
  await page.keyboard.press("Enter");
  await expect(visits(page)).toHaveCount(1);
  await visits(page).first().click();
  await expect(page.getByRole("dialog")).toContainText("Comes from far away");
});

test("moved outside the working hours on purpose", async ({ browser }) => {
  const page = await desk(browser, "2027-06-11", { colorScheme: "dark" });
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type("keller", { delay: 20 });
  await expect(page.getByRole("option").first()).toContainText("Keller");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await expect(visits(page)).toHaveCount(1);
  await visits(page).first().click();
  await page.getByRole("button", { name: "Move …" }).click();
  await page.getByLabel("Time").fill("12:15");
  await page.getByRole("button", { name: "Move", exact: true }).click();
  const refused = page.getByRole("dialog", { name: "The appointment cannot be rescheduled there" });
  await refused.getByRole("button", { name: "Move anyway …" }).click();
  await page.getByLabel("Why is it to be moved").fill("The doctor agreed");
  await looks(page, "move-anyway-dark");
  await refused.getByRole("button", { name: "Move anyway", exact: true }).click();
  await expect(visits(page).first()).toHaveAttribute("aria-label", /12:15/);
});

test("a move that is refused goes to what is free instead", async ({ browser }) => {
  const page = await desk(browser, "2027-06-14");
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type("keller", { delay: 20 });
  await expect(page.getByRole("option").first()).toContainText("Keller");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await expect(visits(page)).toHaveCount(1);
  await visits(page).first().click();
  await page.getByRole("button", { name: "Move …" }).click();
  await page.getByLabel("Time").fill("12:15");
  await page.getByRole("button", { name: "Move", exact: true }).click();
  const refused = page.getByRole("dialog", { name: "The appointment cannot be rescheduled there" });
  const free = refused.locator(".slots button").first();
  const time = (await free.locator("strong").textContent()) ?? "";
  await free.click();
  await expect(visits(page).first()).toHaveAttribute("aria-label", new RegExp(`, ${time} to`));
});

test("a doctor who takes nobody in between is not overbooked", async ({ browser }) => {
  const page = await desk(browser, "2027-06-12");
  for (const patient of ["muster", "keller"]) {
    await page.keyboard.press("b");
    await page.keyboard.press("Enter");
    await asked(page);
    await page.keyboard.type(patient, { delay: 20 });
    await expect(page.getByRole("option").first()).toContainText(new RegExp(patient, "i"));
    await page.keyboard.press("Enter");
    await page.getByLabel("Time").fill("09:00");
    await page.getByRole("button", { name: /^Book (?!anyway)/ }).click();
    if (patient === "muster") await expect(page.getByRole("dialog")).toHaveCount(0);
  }
  await expect(page.getByRole("alert")).toContainText("The doctor is not free");
  await expect(page.getByRole("button", { name: "Book anyway …" })).toHaveCount(0);
});
