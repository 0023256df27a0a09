import { defineConfig } from "vitest/config";

export default defineConfig({
  esbuild: { jsx: "automatic" },
  build: {
    outDir: "../src/tradepulse/api/static",
    emptyOutDir: true,
    target: "es2022",
    // The API page carries all of swagger-ui, and is loaded by /docs alone.
    chunkSizeWarningLimit: 1600,
    assetsInlineLimit: 0,
    rollupOptions: {
      input: { index: "index.html", docs: "docs.html" },
      onwarn: (warning, warn) => {
        // Libraries mark their files for server rendering, which is not done here.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  server: {
    port: 5173,
    proxy: { "/api": { target: "http://127.0.0.1:8000", ws: true }, "/openapi.json": "http://127.0.0.1:8000" },
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
