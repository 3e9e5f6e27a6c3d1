import { NoAnswer, type Problem, type ProblemSlug } from "mems-client";
import { describe, expect, test } from "vitest";
import contract from "../../../../../openapi.yaml?raw";
import table from "../../../../contract/problem_types.go?raw";
import { problemText, words } from "./refusal.js";

const [, listed = ""] = /\n {4}ProblemSlug:\n.*?\n {6}enum:\n((?: {8}- [^\n]*\n)+)/s.exec(contract) ?? [];
const slugs = listed.match(/[a-z][a-z-]+/g) ?? [];
// What the server writes of each problem: the title, and what to do.
const said = new Set(
  [...table.matchAll(/^\t\t"(.+)",$|, \d{3}, "(.+)",$/gm)].map(([, detail, title]) => detail ?? title),
);

const problem = (slug: string, more: object = {}) =>
  ({ type: `/problems/${slug}`, title: "API title", status: 409, detail: "API detail", ...more }) as unknown as Problem;

describe("the desk's words", () => {
  test("are there for every problem type of the contract, and for no other", () => {
    expect(slugs.length).toBeGreaterThan(60);
    expect(Object.keys(words).sort()).toEqual([...slugs].sort());
  });

  test.each(slugs)("%s is said in a sentence of the desk's own", (slug) => {
    const text = problemText(problem(slug, { status: slug === "internal-error" ? 500 : 409, errors: [] }));
    expect(text).toBe(words[slug as ProblemSlug]);
    expect(text).toMatch(/^[A-Z].*[a-z]\.$/);
    expect(text).not.toMatch(/\b(API|id|slug|header|request|ETag|MEMS_\w+|override|idempotency)\b/);
    expect(said.has(text)).toBe(false);
  });

  test("tell a time that is kept free from one that is booked", () => {
    for (const slug of ["doctor-overlap", "room-overlap"] as const) {
      expect(problemText(problem(slug, { held: true }))).toMatch(/being kept free.*\.$/);
      expect(problemText(problem(slug))).toContain("already booked");
    }
  });

  test("are compared with what the server writes", () => {
    expect(said.size).toBeGreaterThan(100);
    expect(said).toContain("Doctor not free");
    expect(said).toContain("Choose another name.");
  });

  test("say nothing of the API for a problem that they do not know", () => {
    for (const slug of ["of-a-newer-server", "constructor"])
      expect(problemText(problem(slug))).toBe("This was refused. Look again, then retry.");
  });

  test("name the fields of what is not valid, never the API's text for it", () => {
    const errors = [
      { pointer: "#/birth_date", code: "future", detail: "API violation" },
      { parameter: "limit", code: "maximum", detail: "API violation" },
    ];
    expect(problemText(problem("validation-failed", { errors }))).toBe("Check what you entered: Date of birth.");
    expect(problemText(problem("validation-failed", { errors: errors.slice(1) }))).toBe(
      "Something you entered is not valid.",
    );
  });

  test("tell a server that fails from one that does not answer", () => {
    expect(problemText(new NoAnswer(new Error("fetch failed")))).toContain("can't be reached");
  });
});
