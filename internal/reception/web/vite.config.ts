import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The desk is served at /reception/ by the program that has the API.
export default defineConfig({
  base: "/reception/",
  plugins: [svelte()],
  resolve: {
    alias: { "mems-client": new URL("../../../gen/typescript/src/index.ts", import.meta.url).pathname },
  },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false, // its helper would be an inline script, which the page's policy forbids
    assetsInlineLimit: 0,
  },
  server: { proxy: { "^/(?!reception/)": "http://127.0.0.1:8080" } },
});
