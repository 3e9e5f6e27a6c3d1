import AxeBuilder from "@axe-core/playwright";
import { type Browser, type BrowserContext, expect, type Page, test } from "@playwright/test";

/** The contexts of the running test: those of earlier ones are closed, for a key may have 20 streams open. */
let opened: { of: string; context: BrowserContext }[] = [];

/** A desk that is signed in, at a date; answers are refusals that the test is about. */
export async function desk(
  browser: Browser,
  date: string,
  options: {
    timezoneId?: string;
    colorScheme?: "light" | "dark";
    width?: number;
    height?: number;
    hasTouch?: boolean;
    answers?: RegExp;
    locale?: string;
  } = {},
): Promise<Page> {
  const { width = 1280, height = 800, answers, ...rest } = options;
  const of = test.info().testId;
  const earlier = opened.filter((o) => o.of !== of);
  opened = opened.filter((o) => o.of === of);
  await Promise.all(earlier.map((o) => o.context.close()));
  const context = await browser.newContext({ ...rest, viewport: { width, height } });
  opened.push({ of, context });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A refusal is an answer that the desk shows, and 503 is sent again; a violated policy is neither.
    const answered = /status of (401|403|404|409|503)|net::ERR_/.test(message.text()) || answers?.test(message.text());
    if (message.type() === "error" && !answered) faults.push(message.text());
  });
  page.on("close", () => expect(faults).toEqual([]));
  await page.goto(`${process.env.DESK_URL}/reception/`);
  await page.getByLabel("Key").fill(process.env.DESK_KEY ?? "");
  await page.getByRole("button", { name: "Sign in" }).click();
  await go(page, date);
  return page;
}

export async function go(page: Page, date: string) {
  await page.getByLabel("Go to a date").fill(date);
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await expect(page.locator("main:not(.busy)")).toBeVisible();
}

/** Waits until a dialog asks for the patient, and typing is heard there. */
export async function asked(page: Page) {
  await expect(page.getByRole("dialog").getByLabel("Patient", { exact: true })).toBeFocused();
}

/** Books by the keyboard alone, at the cursor some steps further down. */
export async function book(page: Page, patient: string, down: number) {
  await page.keyboard.press("b");
  for (let i = 0; i < down; i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.type(patient, { delay: 20 });
  await expect(page.getByRole("option").first()).toContainText(new RegExp(patient, "i"));
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
}

export const visits = (page: Page) => page.locator("[data-visit]");

/** Keeps a picture of what is shown, which everybody must be able to use (WCAG 2.2 AA). */
export async function looks(page: Page, name: string) {
  await page.waitForTimeout(300);
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  expect(
    violations.map(
      (v) =>
        `${name}: ${v.id} ${v.nodes
          .map((n) => n.html)
          .join(" ")
          .slice(0, 300)}`,
    ),
  ).toEqual([]);
  await page.screenshot({ path: `test-results/${name}.png` });
}
