import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/server.ts",
    testTimeout: 20_000,
    hookTimeout: 180_000,
  },
});
