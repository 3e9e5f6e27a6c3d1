import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: "../node_modules/.vite", // keeps this folder clean
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/server.ts",
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
