// Draws the reference from the contract in spec.js: a page that was opened from
// a disk may load scripts, but fetch nothing.
memsContract.info.contact.url = 'index.html' // a server has it under /docs
Scalar.createApiReference('#app', {
  content: memsContract,
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  hideTestRequestButton: true,
  documentDownloadType: 'none',
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
})
