// What is shown has an address: it can be kept, sent to a colleague, reloaded and gone back to.
import { expect, type Page, test } from "@playwright/test";

import { asked, desk, go, looks, visits } from "./page.js";
import { appointmentsOf, doctorNamed, register, send } from "./clinic.js";

const date = "2028-03-14"; // a Tuesday
let patient = 0;
let appointment = 0;

test.beforeAll(async () => {
  // After a failure, a new worker finds what the first one made.
  const { items } = await send<{ items: { id: number }[] }>("GET", "/patients?q=Adressa");
  patient = items[0]?.id ?? (await register("Ida", "Adressa", { birth_date: "1979-09-09" })).id;
  const booked = (await appointmentsOf(patient)).at(0);
  const wanted = {
    doctor_id: await doctorNamed("Dr. Per Holm"),
    start_time: `${date}T06:00:00Z`,
    duration_minutes: 30,
  };
  appointment = booked?.id ?? (await send("POST", "/appointments", { patient_id: patient, ...wanted })).id;
});

/** What the window's address says below /reception/. */
const address = (page: Page) => page.url().slice(`${process.env.DESK_URL}/reception/`.length);

/** Opens an address as from a bookmark; returns the status. */
async function open(page: Page, below: string): Promise<number | undefined> {
  return (await page.goto(`${process.env.DESK_URL}/reception/${below}`))?.status();
}

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const card = (page: Page) => page.getByRole("dialog", { name: "Ida Adressa" });
const panel = (page: Page) => page.getByRole("complementary", { name: "Ida Adressa" });
const pressed = (page: Page, name: string) =>
  expect(page.getByRole("link", { name, exact: true })).toHaveAttribute("aria-current", "page");

test("every view is opened by its address, cold, with a title of its own", async ({ browser }) => {
  const page = await desk(browser, "2028-03-01");
  const holm = await doctorNamed("Dr. Per Holm");
  for (const [below, view, title] of [
    [`day/${date}`, "Day", /^Tue,? 14 Mar 2028 · Day · Reception$/],
    [`week/${date}?doctor=${holm}`, "Week", /^Mon,? 13 Mar to Sun,? 19 Mar 2028 · Week · Dr. Per Holm · Reception$/],
    [`check-in/${date}?doctor=${holm}`, "Check-in", /^Tue,? 14 Mar 2028 · Check-in · Dr. Per Holm · Reception$/],
  ] as const) {
    expect(await open(page, below)).toBe(200);
    await pressed(page, view);
    await expect(page.locator("main")).toContainText("Adressa, Ida");
    expect(address(page)).toBe(below);
    await expect(page).toHaveTitle(title);
    if (below.includes("?"))
      await expect(page.locator(".bar select").locator("option:checked")).toContainText("Per Holm");
  }
  const criteria = `find?doctor=${holm}&minutes=60&from=${date}&days=3&part=pm`;
  expect(await open(page, criteria)).toBe(200);
  await expect(page.getByLabel("From")).toHaveValue(date);
  await expect(page.getByLabel("Minutes")).toHaveValue("60");
  await expect(page.locator(".find select").first().locator("option:checked")).toHaveText("Dr. Per Holm");
  await expect(page.getByLabel("When")).toHaveValue("pm");
  await expect(page.getByText(/free times;/)).toBeVisible();
  expect(address(page)).toBe(criteria);
  await expect(page).toHaveTitle("Find a time · Reception");
  await page.getByLabel("When").selectOption("am");
  await expect.poll(() => address(page)).toBe(criteria.replace("pm", "am"));
});

test("back and forward lead through what was shown, and a reload keeps it", async ({ browser }) => {
  const page = await desk(browser, date);
  await expect.poll(() => address(page)).toBe(`day/${date}`);
  await page.keyboard.press("w");
  await page.locator(".bar select").selectOption({ label: "Dr. Per Holm · Allergology" });
  await expect(visits(page)).toHaveCount(1);
  const week = address(page);
  expect(week).toMatch(/^week\/2028-03-14\?doctor=\d+$/);
  await page.getByRole("button", { name: /^Wed,? 15 Mar/ }).click();
  await expect.poll(() => address(page)).toBe("day/2028-03-15");
  await page.keyboard.press("q");
  await expect.poll(() => address(page)).toBe("check-in/2028-03-15");

  await page.goBack();
  await expect(heading(page)).toContainText("15 March");
  await pressed(page, "Day");
  await page.goBack();
  await pressed(page, "Week");
  await expect(page.locator(".bar select").locator("option:checked")).toContainText("Per Holm");
  await expect(visits(page)).toHaveCount(1);
  expect(address(page)).toBe(week);
  await page.reload();
  await pressed(page, "Week");
  await expect(visits(page)).toHaveCount(1);
  expect(address(page)).toBe(week);
  await page.goForward();
  await expect(heading(page)).toContainText("15 March");
  await page.goForward();
  await pressed(page, "Check-in");
  await page.goBack();
  // From here on, forward is another way.
  await page.keyboard.press("n");
  await expect(heading(page)).toContainText("16 March");
  await page.goBack();
  await expect(heading(page)).toContainText("15 March");
});

test("which doctors have columns is in the address, for this window", async ({ browser }) => {
  const page = await desk(browser, date);
  const other = await page.context().newPage();
  await other.goto(`${process.env.DESK_URL}/reception/day/${date}`);
  await other.getByLabel("Key").fill(process.env.DESK_KEY ?? "");
  await other.keyboard.press("Enter");
  const heads = (p: Page) => p.locator(".column-head");
  await expect(heads(other)).toHaveCount(4);
  await page.locator(".chooser summary").click();
  await page.getByRole("checkbox", { name: /Ines Vogt/ }).uncheck();
  await page.getByRole("checkbox", { name: /Zoe Frei/ }).uncheck();
  await expect(heads(page)).toHaveCount(2);
  const chosen = address(page);
  expect(chosen).toMatch(/^day\/2028-03-14\?doctors=\d+,\d+$/);
  // The other window keeps what it shows, also when it is reloaded.
  await other.keyboard.press("n");
  await expect(heading(other)).toContainText("15 March");
  await expect(heads(other)).toHaveCount(4);
  await other.reload();
  await expect(heading(other)).toContainText("15 March");
  await expect(heads(other)).toHaveCount(4);
  expect(address(other)).toBe("day/2028-03-15");
  // The address carries them.
  expect(await open(other, chosen)).toBe(200);
  await expect(heads(other)).toHaveCount(2);
  await expect(heads(other)).toContainText([/Mia Roth/, /Per Holm/]);
  await other.goBack();
  await expect(heads(other)).toHaveCount(4);
});

test("an appointment is opened by its address, and Back closes it", async ({ browser }) => {
  const page = await desk(browser, date);
  await visits(page).first().click();
  await expect(card(page)).toBeVisible();
  await expect.poll(() => address(page)).toBe(`day/${date}?appointment=${appointment}`);
  await expect(page).toHaveTitle(/^Tue,? 14 Mar 2028 · Day · Reception$/);
  await page.reload();
  await expect(card(page)).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  expect(address(page)).toBe(`day/${date}`);
  await page.goForward();
  await expect(card(page)).toBeVisible();
  // Closed by hand, it leaves no entry to go back through.
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect.poll(() => address(page)).toBe(`day/${date}`);
  await page.goBack();
  await expect(heading(page)).not.toContainText("14 March");
  // Cold, there is nothing to go back to.
  await open(page, `day/${date}?appointment=${appointment}`);
  await expect(card(page)).toBeVisible();
  await page.keyboard.press("Escape");
  await expect.poll(() => address(page)).toBe(`day/${date}`);
  await open(page, `day/${date}?appointment=99999999`);
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("This appointment no longer exists.");
});

test("a patient is opened by number, never by name", async ({ browser }) => {
  const page = await desk(browser, date);
  const seen: string[] = [];
  page.on("framenavigated", (frame) => seen.push(frame.url()));
  await page.keyboard.press("/");
  await page.keyboard.type("adressa");
  await page.getByRole("listbox").getByRole("option").first().click();
  await expect(panel(page)).toContainText("14 Mar 2028");
  await expect.poll(() => address(page)).toBe(`day/${date}?patient=${patient}`);
  await page.reload();
  await expect(panel(page)).toContainText("born 9 Sept 1979");
  await panel(page)
    .getByRole("button", { name: /14 Mar 2028/ })
    .click();
  await expect.poll(() => address(page)).toBe(`day/${date}?appointment=${appointment}`);
  await expect(card(page)).toContainText("Check in");
  // Closed, it leaves the patient, and the patient leaves the day.
  await page.keyboard.press("Escape");
  await expect.poll(() => address(page)).toBe(`day/${date}?patient=${patient}`);
  await panel(page).getByRole("button", { name: "Close" }).click();
  await expect.poll(() => address(page)).toBe(`day/${date}`);
  expect(await page.title()).not.toMatch(/Adressa/);
  expect(seen.filter((url) => /adressa/i.test(url))).toEqual([]);
  await open(page, `day/${date}?patient=99999999`);
  await expect(page.getByRole("complementary").getByRole("alert")).toContainText(
    "This patient's record no longer exists.",
  );
  // Of two records that were merged, the old number leads to the one that was kept.
  const twin = await register("Ida", "Adressa-Neu", { on_possible_duplicate: "accept" });
  await send("POST", `/patients/${patient}/merge`, { duplicate_id: twin.id });
  await open(page, `day/${date}?patient=${twin.id}`);
  await expect(panel(page)).toContainText("14 Mar 2028");
  await expect.poll(() => address(page)).toBe(`day/${date}?patient=${patient}`);
});

test("an address that names no page says so, and leads on", async ({ browser }) => {
  const page = await desk(browser, date, { answers: /status of 404/ });
  const today = await page.evaluate(() => new Intl.DateTimeFormat("sv", { timeZone: "Europe/Zurich" }).format());
  const main = page.locator("main");
  for (const [below, word, way, leads] of [
    ["month/2028-03", "There is no page at this address", "Show today", `day/${today}`],
    [`find/${date}`, "There is no page at this address", "Show today", `day/${today}`],
    ["day/2028-02-30", "There is no such date", "Show today", `day/${today}`],
    ["day/9999-12-31", "There is no such date", "Show today", `day/${today}`],
    [`week/2028-13-01?appointment=${appointment}`, "There is no such date", "Show this week", `week/${today}`],
    ["check-in/tomorrow", "There is no such date", "Show today", `check-in/${today}`],
  ] as const) {
    expect(await open(page, below), below).toBe(404);
    await expect(main.getByRole("alert")).toContainText(word);
    await expect(page).toHaveTitle("Page not found · Reception");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await expect(page.locator("[aria-current=page]")).toHaveCount(0);
    expect(address(page)).toBe(below);
    await expect(main.getByRole("link", { name: way })).toBeFocused();
    await page.keyboard.press("Enter");
    await expect.poll(() => address(page).replace(/\?.*/, "")).toBe(leads);
    await expect(page.locator("main:not(.busy) section").first()).toBeVisible();
  }
  // By the mouse, by a letter, and back to where somebody came from.
  await go(page, date);
  await open(page, "nowhere");
  await main.getByRole("button", { name: "Go back" }).click();
  await expect(heading(page)).toContainText("14 March");
  await open(page, "nowhere");
  await main.getByRole("link", { name: "Show today" }).click();
  await expect.poll(() => address(page)).toBe(`day/${today}`);
  await open(page, "nowhere");
  await expect(main.getByRole("alert")).toBeVisible();
  await page.keyboard.press("w");
  await expect.poll(() => address(page)).toMatch(new RegExp(`^week/${today}`));
});

test("what an address says beyond a page is left out where it means nothing", async ({ browser }) => {
  const page = await desk(browser, date);
  const today = await page.evaluate(() => new Intl.DateTimeFormat("sv", { timeZone: "Europe/Zurich" }).format());
  for (const [below, word, leads] of [
    ["", "", `day/${today}`],
    [`day/${date}?doctors=1,no`, "Part of this address is not valid and was left out.", `day/${date}`],
    [`day/${date}?doctors=99999`, "Part of this address is not valid and was left out.", `day/${date}`],
    [`check-in/${date}?doctor=99999`, "Part of this address is not valid and was left out.", `check-in/${date}`],
    [`day/${date}?patient=Adressa`, "Part of this address is not valid and was left out.", `day/${date}`],
  ] as const) {
    expect(await open(page, below), below).toBe(200);
    await expect(page.locator("main:not(.busy)")).toBeVisible();
    await expect.poll(() => address(page)).toBe(leads);
    if (word) await expect(page.locator(".toasts")).toContainText(word);
    else await expect(page.locator(".toast")).toHaveCount(0);
  }
  const asset = await page.request.get(`${process.env.DESK_URL}/reception/assets/none.js`);
  expect(asset.status()).toBe(404);
  expect(await asset.text()).not.toContain("<html");
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`the sign-in keeps the address that was asked for (${colorScheme})`, async ({ browser }) => {
    const page = await (await browser.newContext({ colorScheme })).newPage();
    await open(page, `week/${date}?doctor=${await doctorNamed("Dr. Per Holm")}&appointment=${appointment}`);
    await expect(page).toHaveTitle("Sign in · Reception");
    await page.getByLabel("Key").fill(process.env.DESK_KEY ?? "");
    await page.keyboard.press("Enter");
    await expect(card(page)).toBeVisible();
    await expect(heading(page)).toContainText("13 Mar");
    await looks(page, `address-appointment-${colorScheme}`);
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await open(page, "nowhere");
    await expect(page.getByRole("alert")).toContainText("no page at this address");
    await looks(page, `address-unknown-${colorScheme}`);
    await page.setViewportSize({ width: 390, height: 844 });
    await looks(page, `address-unknown-narrow-${colorScheme}`);
    await page.setViewportSize({ width: 1280, height: 800 });
    // Signed out by choice, what was open is not for the next one; the view is.
    await open(page, `check-in/${date}?appointment=${appointment}`);
    await expect(card(page)).toBeVisible();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page.getByLabel("Key")).toBeVisible();
    expect(address(page)).toBe(`check-in/${date}`);
    await page.context().close();
  });
}

test("a booking that is being entered survives Back", async ({ browser }) => {
  const page = await desk(browser, date);
  await page.keyboard.press("n");
  await expect(heading(page)).toContainText("15 March");
  await expect(page.locator("main:not(.busy)")).toBeVisible();
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type("adre");
  await page.goBack();
  await expect(page.getByRole("dialog").getByLabel("Patient", { exact: true })).toHaveValue("adre");
});

test("a key that is held down asks for the day where it stops, and is one step to go back", async ({ browser }) => {
  const page = await desk(browser, date);
  await expect(page.getByText("Live")).toBeVisible();
  await page.waitForTimeout(1_000);
  const sent: string[] = [];
  const refused: number[] = [];
  page.on("request", (r) => r.headers()["x-api-key"] && sent.push(r.url().slice(process.env.DESK_URL?.length)));
  page.on("response", (r) => r.status() >= 400 && refused.push(r.status()));
  // How often the key paused for so long that a day was really shown is the browser's to say.
  await page.evaluate(() => {
    const w = window as unknown as { pauses: number };
    let last = 0;
    w.pauses = 0;
    addEventListener(
      "keydown",
      (e) => {
        const now = performance.now();
        if (e.key === "n" && last && now - last > 150) w.pauses++;
        last = now;
      },
      true,
    );
  });
  const until = Date.now() + 18_000;
  let presses = 0;
  while (Date.now() < until) {
    await page.keyboard.down("n");
    presses++;
    await page.waitForTimeout(25);
  }
  await page.keyboard.up("n");
  await expect(page.locator("main:not(.busy)")).toBeVisible();
  await page.waitForTimeout(500);
  const pauses = await page.evaluate(() => (window as unknown as { pauses: number }).pauses);
  expect(presses).toBeGreaterThan(50);
  // The first day, the last one, and where the machine held its breath.
  expect(sent.filter((url) => !url.startsWith("/schedule?"))).toEqual([]);
  expect(sent.length).toBeLessThanOrEqual(2 + pauses);
  expect(new Set(sent).size).toBe(sent.length);
  expect(refused).toEqual([]);
  console.log(`${presses} presses, ${pauses} pauses, ${sent.length} requests`);
  const last = address(page);
  expect(sent.at(-1)).toContain(`first_date=${last.slice("day/".length)}`);
  await page.goBack();
  await expect.poll(() => address(page)).toBe(`day/${date}`);
  await expect(page.locator("main")).toContainText("Adressa, Ida");
});
