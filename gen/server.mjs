// Runs a MEMS of this checkout, with a private database in a temporary folder,
// for as long as a test needs it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"];
const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Builds MEMS, serves, and makes an administrator's key; it serves until `stop` is called.
 * @param {Record<string, string>} [settings] further environment variables
 * @returns {Promise<{url: string, apiKey: string, stop: () => Promise<void>}>}
 */
export async function startMems(settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), "mems-test-"));
  const binary = join(folder, "mems");
  try {
    await run("go", ["build", "-buildvcs=false", "-o", binary, "./cmd/mems"], { cwd: root });
    // Settings of the shell do not reach it: above all no MEMS_DATABASE_URL.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("MEMS_"));
    const env = {
      ...Object.fromEntries(inherited),
      MEMS_DATA_DIR: join(folder, "data"),
      MEMS_HTTP_ADDR: "127.0.0.1:0",
      MEMS_AUTH: "required",
      MEMS_RATE_LIMIT: "100000",
      ...settings,
    };
    const { url, stop } = await serve(binary, env);
    const made = await run(binary, ["keys", "create", "--role", "admin", "tests"], { env }).catch(async (error) => {
      await stop();
      throw error;
    });
    return {
      url,
      apiKey: made.stdout.trim(),
      stop: async () => {
        await stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * @param {string} binary
 * @param {NodeJS.ProcessEnv} env
 */
async function serve(binary, env) {
  const server = spawn(binary, ["serve", "--migrate"], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(server, "exit");
  // However this process ends, the server does not stay behind.
  const end = () => server.kill("SIGTERM");
  process.once("exit", end);
  const interrupted = () => process.exit(1);
  for (const signal of SIGNALS) process.once(signal, interrupted);
  let said = "";
  /** @type {string} */
  const url = await new Promise((resolve, reject) => {
    /** @param {Buffer} text */
    const hear = (text) => {
      said = (said + text).slice(-20_000);
      const address = /is serving (http:\S+)/.exec(said)?.[1];
      if (address) resolve(address);
    };
    server.stdout.on("data", hear);
    server.stderr.on("data", hear);
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`mems ended with exit code ${code}:\n${said}`)));
  });
  const ready = await fetch(`${url}/readyz`);
  if (!ready.ok) throw new Error(`mems is not ready: ${await ready.text()}`);
  return {
    url,
    stop: async () => {
      server.kill("SIGTERM");
      await ended;
      process.removeListener("exit", end);
      for (const signal of SIGNALS) process.removeListener(signal, interrupted);
    },
  };
}
