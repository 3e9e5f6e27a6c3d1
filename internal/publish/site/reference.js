// Draws the reference from the contract in spec.js: a page that was opened from
// a disk may load scripts, but fetch nothing.
// A server has these pages under other addresses.
memsContract.info.contact.url = "index.html";
for (const [from, to] of [
  ["/docs/guide", "guides/partner.html"],
  ["/docs/client", "clients/typescript.html"],
  ["/problems", "problems/index.html"],
]) {
  memsContract.info.description = memsContract.info.description.replaceAll(`](${from})`, `](${to})`);
}
// `/` means the server that a contract came from; these pages came from none.
memsContract.servers = [
  {
    url: "https://{host}",
    description: "A clinic's installation, by its address",
    variables: { host: { default: "clinic.example.org", description: "Host of the installation" } },
  },
  { url: "http://127.0.0.1:8080", description: "Your own machine, after `make run`" },
];
Scalar.createApiReference("#app", {
  content: memsContract,
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  hideTestRequestButton: true,
  documentDownloadType: "none",
  showDeveloperTools: "never",
  agent: { disabled: true },
  mcp: { disabled: true },
});
