// Draws the interactive page from the contract that this same server serves.
// It stands in a file of its own so that the page needs no inline script, and
// everything that would reach beyond this server is switched off.
Scalar.createApiReference("#app", {
  url: "/openapi.yaml",
  servers: [{ url: location.origin, description: "This installation" }],
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  mcp: { disabled: true },
});
