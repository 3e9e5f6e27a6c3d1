// Double clicks: the second click must not act on what the first one put under the pointer.
import { expect, type Page, test } from "@playwright/test";

import { doctorNamed, register, send } from "./clinic.js";
import { changes } from "./data.js";
import { asked, desk } from "./page.js";

const board = async (page: Page) => {
  await page.keyboard.press("q");
  await page.keyboard.press("t");
};

test("a double click on the board calls one patient, and does not start the visit", async ({ browser }) => {
  const doctor = await doctorNamed("Dr. Zoe Frei");
  for (const name of ["Ada", "Bea", "Cleo"]) {
    const { id } = await register(name, "Doubleday");
    await send("POST", "/walk-ins", { patient_id: id, doctor_id: doctor });
  }
  const page = await desk(browser, "2027-06-01");
  await board(page);
  const here = page.getByRole("region", { name: "Here" });
  await expect(here).toContainText("Doubleday, Cleo");
  const sent = changes(page);
  await page.locator("main select").selectOption({ label: "Dr. Zoe Frei" });
  await page.getByRole("button", { name: "Call the next" }).dblclick({ delay: 60 });
  // The patient who has waited longest, which depends on other tests.
  await expect(page.locator(".toasts")).toContainText(/\w, \w+, number \d+, is called/);
  await expect(here).toContainText("called");
  await page.getByRole("button", { name: "Call: Doubleday, Cleo" }).dblclick({ delay: 60 });
  await expect(page.getByRole("button", { name: "Start visit: Doubleday, Cleo" })).toBeVisible();
  await page.waitForTimeout(500); // for what must not be sent
  expect(sent.map((s) => s.replace(/\d+/, "#"))).toEqual(["POST /queue/call-next", "POST /tickets/#/call"]);
});

test("a double click on a refused walk-in or booking leaves the window open, with the refusal", async ({ browser }) => {
  const page = await desk(browser, "2027-06-01", { answers: /status of 409/ });
  await board(page);
  await page.keyboard.press("k");
  await asked(page);
  await page.keyboard.type("Keller", { delay: 20 });
  await expect(page.getByRole("listbox").getByRole("option").first()).toContainText("Keller");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("With").selectOption({ label: "Dr. Zoe Frei · Urgent care" });
  await page.route("**/walk-ins", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.fulfill({
      status: 409,
      contentType: "application/problem+json",
      body: JSON.stringify({ type: "/problems/nobody-works", title: "", status: 409 }),
    });
  });
  const add = dialog.getByRole("button", { name: "Add Tom Keller to queue" });
  const box = await add.boundingBox();
  if (!box) throw new Error("nothing to press");
  // If the button got shorter while it waits, Close would move to where its middle was.
  await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height / 2, { delay: 60 });
  await page.waitForTimeout(700);
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2); // an impatient one, later
  await expect(dialog.getByRole("alert")).toBeVisible();
  await expect(dialog).toBeVisible();
});

test("a double click on an appointment only opens it", async ({ browser }) => {
  const { id } = await register("Dora", "Doubleday");
  const doctor_id = await doctorNamed("Dr. Ines Vogt");
  const a = await send("POST", "/appointments", {
    patient_id: id,
    doctor_id,
    start_time: "2028-08-02T06:00:00Z",
    duration_minutes: 30,
  });
  const page = await desk(browser, "2028-08-02");
  const sent = changes(page);
  const visit = page.locator("[data-visit]").first();
  await visit.dblclick({ delay: 60 });
  await expect(page.getByRole("dialog")).toContainText("Dora Doubleday");
  await page.waitForTimeout(300);
  await expect(page.getByRole("dialog")).toBeVisible();
  expect(sent).toEqual([]);
  expect((await appointment(a.id)).status).toBe("scheduled");
});

const appointment = (id: number) => send<{ status: string }>("GET", `/appointments/${id}`);
