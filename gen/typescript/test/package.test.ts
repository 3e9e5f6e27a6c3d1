// What is published: the code blocks of the README, and the files.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { afterAll, expect, inject, test } from "vitest";

const home = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(home, "README.md"), "utf8");
const blocks = [...readme.matchAll(/^```ts( live)?\n(.*?)^```$/gms)].map(([, live, code = ""]) => ({
  live: !!live,
  code,
}));

// Inside of the package, so that its own name leads to it.
const folder = mkdtempSync(join(home, "dist", "readme-"));
afterAll(() => rmSync(folder, { recursive: true }));

// The blocks read as one program, from the first to the last.
function program(name: string, parts: typeof blocks) {
  const file = join(folder, name);
  writeFileSync(file, parts.map(({ code }) => code).join("\n"));
  return file;
}

test("every block of the README has the right types, for strict readers too", () => {
  expect(blocks.length).toBeGreaterThanOrEqual(7);
  const checked = ts.createProgram([program("checked.ts", blocks)], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    skipLibCheck: true,
  });
  const found = ts.getPreEmitDiagnostics(checked).map(({ messageText, file, start = 0 }) => {
    const line = file ? file.text.slice(0, start).split("\n").length : 0;
    return `line ${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
  expect(found).toEqual([]);
});

test("the README runs", async () => {
  const file = program(
    "run.ts",
    blocks.filter(({ live }) => !live),
  );
  // The README's day passes; the next first of March but one does not.
  const day = `${new Date().getFullYear() + 2}-03-01`;
  const code = readFileSync(file, "utf8")
    .replaceAll("http://127.0.0.1:8080", inject("url"))
    .replaceAll("2027-03-01", day);
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  const script = file.replace(/ts$/, "mjs");
  writeFileSync(
    script,
    `${ts.transpileModule(code, { compilerOptions: options }).outputText}\nexport { visit, error, changed, health };`,
  );

  process.env.MEMS_API_KEY = inject("apiKey");
  const said: unknown[] = [];
  const { log } = console;
  console.log = (...words: unknown[]) => said.push(words.join(" "));
  try {
    const ran = (await import(/* @vite-ignore */ pathToFileURL(script).href)) as Record<
      string,
      Record<string, unknown>
    >;
    expect(ran.visit).toMatchObject({ start_time: `${day}T09:00:00Z` });
    expect(ran.error).toMatchObject({ type: "/problems/doctor-overlap" });
    expect(ran.changed).toMatchObject({ data: { phone: "+41 44 555 01 23", birth_date: null } });
    expect(ran.health).toMatchObject({ error: undefined });
  } finally {
    console.log = log;
  }
  expect(said).toContain(`${day}T09:00:00Z`);
  expect(said).toContain(`taken: ${day}T09:00:00Z`);
});

test("only what is needed is published", () => {
  const packed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: home,
    encoding: "utf8",
  });
  const [{ files }] = JSON.parse(packed) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path).filter((path) => !path.startsWith("dist/readme-"));
  const strangers = paths.filter((path) => !/^(dist\/.*\.(js|d\.ts)|package\.json|README\.md|LICENSE)$/.test(path));
  expect(strangers).toEqual([]);
  expect(paths).toEqual(expect.arrayContaining(["dist/index.js", "dist/index.d.ts", "package.json", "README.md"]));
});

test("the package says where it is from, and gives its types to every resolution", () => {
  const about = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as Record<string, unknown>;
  for (const member of ["author", "bugs", "homepage", "keywords", "license", "repository"]) {
    expect(about, member).toHaveProperty(member);
  }
  // Node10 reads no exports: it has `main` and `types` only.
  for (const [module, moduleResolution] of [
    [ts.ModuleKind.CommonJS, ts.ModuleResolutionKind.Node10],
    [ts.ModuleKind.Node16, ts.ModuleResolutionKind.Node16],
    [ts.ModuleKind.ESNext, ts.ModuleResolutionKind.Bundler],
  ] as const) {
    const options = { module, moduleResolution };
    const host: ts.ModuleResolutionHost = {
      ...ts.sys,
      fileExists: (path) => ts.sys.fileExists(path.replace("/away/node_modules/mems-client/", home)),
      readFile: (path) => ts.sys.readFile(path.replace("/away/node_modules/mems-client/", home)),
      directoryExists: () => true,
      realpath: (path) => path,
    };
    const { resolvedModule } = ts.resolveModuleName("mems-client", "/away/use.mts", options, host);
    expect(resolvedModule?.resolvedFileName).toBe("/away/node_modules/mems-client/dist/index.d.ts");
  }
});
