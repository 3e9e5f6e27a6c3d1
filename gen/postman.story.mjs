// "1 A first day": the requests that lead a newcomer, or a tester, through a
// day at the desk, in order. Each carries on what the ones before it found out.
// {{run}}, {{day}} and {{dayN}} (N days later) are set by postman.start.js.

const is = (status) => `pm.test("status ${status}", () => pm.response.to.have.status(${status}));\n`;
const read = "const answer = pm.response.json();\n";
const keep = (name, value) => `pm.collectionVariables.set("${name}", ${value});\n`;
const keepId = (name) =>
  is(201) + read + `pm.test("it has an id", () => pm.expect(answer.id).to.be.a("number"));\n` + keep(name, "answer.id");
const keepETag = keep("etag", 'pm.response.headers.get("ETag")');
const problem = (status, slug) =>
  is(status) +
  read +
  `pm.test("problem ${slug}", () => {
  pm.expect(pm.response.headers.get("Content-Type")).to.include("application/problem+json");
  pm.expect(answer).to.include({ type: "/problems/${slug}", status: ${status} });
  pm.expect(answer.detail).to.be.a("string").and.not.empty;
});
`;

const week = [1, 2, 3, 4, 5, 6, 7].flatMap((weekday) => [
  { weekday, start: "08:00", end: "12:00" },
  { weekday, start: "13:00", end: "17:00" },
]);

const booking = (patient, start) => ({
  patient_id: `{{${patient}}}`,
  doctor_id: "{{doctorId}}",
  start_time: `{{${start}}}`,
  duration_minutes: 30,
});

/** The story: each part becomes one request. */
export const story = [
  {
    name: "Is the clinic open for requests?",
    description: "Says whether this installation can serve. It needs no key.",
    method: "GET",
    path: "/readyz",
    test: is(200),
  },
  {
    name: "In which time zone is the clinic?",
    description: "Dates such as `?date=` mean days in this zone.",
    method: "GET",
    path: "/version",
    test: is(200) + read + keep("timeZone", "answer.time_zone"),
  },
  {
    name: "Register Ann",
    description: "Each run registers people of its own, so that it can be repeated.",
    method: "POST",
    path: "/patients",
    body: { first_name: "Ann", last_name: "Muster {{run}}", email: "ann.{{run}}@example.org" },
    test: keepId("patientId"),
  },
  {
    name: "Register Ben",
    method: "POST",
    path: "/patients",
    body: { first_name: "Ben", last_name: "Muster {{run}}" },
    test: keepId("otherPatientId"),
  },
  {
    name: "Register a doctor",
    method: "POST",
    path: "/doctors",
    body: { full_name: "Dr. Noor Haddad {{run}}", specialization: "Dermatology" },
    test: keepId("doctorId"),
  },
  {
    name: "Read her working hours",
    description: "A new doctor has none, and can be booked at any time. The `ETag` is kept for the next request.",
    method: "GET",
    path: "/doctors/{{doctorId}}/working-hours",
    test: is(200) + keepETag,
  },
  {
    name: "Set her working hours",
    description: "`If-Match` refuses the change if somebody else made one in between.",
    method: "PUT",
    path: "/doctors/{{doctorId}}/working-hours",
    headers: { "If-Match": "{{etag}}" },
    body: { timetables: [{ effective_from: "2026-01-01", blocks: week }], exceptions: [] },
    test: is(200),
  },
  {
    name: "When is she free?",
    description: "The first free time of the day is kept for the booking.",
    method: "GET",
    path: "/availability",
    query: {
      doctor_id: "{{doctorId}}",
      from: "{{day}}T00:00:00Z",
      to: "{{day1}}T00:00:00Z",
      duration_minutes: "30",
      limit: "5",
    },
    test:
      is(200) +
      read +
      `pm.test("there are free times", () => pm.expect(answer.items).to.not.be.empty);\n` +
      keep("start", "answer.items[0].start_time"),
  },
  {
    name: "Book Ann",
    description: "With 201 the time is hers. The same request with the same `Idempotency-Key` books once.",
    method: "POST",
    path: "/appointments",
    body: booking("patientId", "start"),
    test:
      keepId("appointmentId") +
      `pm.test("she is booked at this time", () => {
  const start_time = pm.collectionVariables.get("start");
  pm.expect(answer).to.include({ status: "scheduled", start_time });
});
` +
      keep("version", 'pm.response.headers.get("ETag")'),
  },
  {
    name: "Ben wants the same time",
    description: "Nobody is booked twice. The refusal says what is in the way and what is free instead.",
    method: "POST",
    path: "/appointments",
    body: booking("otherPatientId", "start"),
    test:
      problem(409, "doctor-overlap") +
      `pm.test("it says what is in the way", () => {
  pm.expect(answer.conflict.start_time).to.equal(pm.collectionVariables.get("start"));
});
pm.test("it says what is free instead", () => pm.expect(answer.alternatives).to.be.an("array").and.not.empty);
` +
      keep("alternative", "answer.alternatives[0].start_time"),
  },
  {
    name: "Ben takes an alternative",
    method: "POST",
    path: "/appointments",
    body: booking("otherPatientId", "alternative"),
    test: keepId("otherAppointmentId"),
  },
  {
    name: "Ann comes two hours later",
    description: "Moves the visit, if it still has the version that was read.",
    method: "POST",
    path: "/appointments/{{appointmentId}}/reschedule",
    headers: { "If-Match": "{{version}}" },
    prepare: `const later = new Date(Date.parse(pm.collectionVariables.get("start")) + 2 * 60 * 60 * 1000);
pm.collectionVariables.set("later", later.toISOString());
`,
    body: { start_time: "{{later}}" },
    test:
      is(200) +
      read +
      `pm.test("it is moved", () => {
  pm.expect(Date.parse(answer.start_time)).to.equal(Date.parse(pm.collectionVariables.get("later")));
});
`,
  },
  {
    name: "Somebody moves it on the old version",
    description: "The version is an old one by now, so the change is refused: read, look, decide again.",
    method: "POST",
    path: "/appointments/{{appointmentId}}/reschedule",
    headers: { "If-Match": "{{version}}" },
    body: { duration_minutes: 45 },
    test: problem(412, "precondition-failed"),
  },
  {
    name: "Ann cancels",
    method: "POST",
    path: "/appointments/{{appointmentId}}/cancel",
    body: { reason: "patient_request", note: "Called this morning." },
    test: is(200) + read + `pm.test("it is cancelled", () => pm.expect(answer.status).to.equal("cancelled"));\n`,
  },
  {
    name: "It was the wrong patient: undo",
    description: "Takes the time again, if it is still free, and gives the visit its former status.",
    method: "POST",
    path: "/appointments/{{appointmentId}}/undo",
    test: is(200) + read + `pm.test("it stands again", () => pm.expect(answer.status).to.equal("scheduled"));\n`,
  },
  {
    name: "The day's list",
    description: "Both visits, with the names that the desk needs.",
    method: "GET",
    path: "/appointments",
    query: { date: "{{date}}", doctor_id: "{{doctorId}}", include: "patient,doctor" },
    prepare: `const start = new Date(pm.collectionVariables.get("start"));
const timeZone = pm.collectionVariables.get("timeZone");
// Sweden writes dates as YYYY-MM-DD.
pm.collectionVariables.set("date", start.toLocaleDateString("sv-SE", { timeZone }));
`,
    test:
      is(200) +
      read +
      `pm.test("both visits are there, each once", () => {
  const wanted = ["appointmentId", "otherAppointmentId"].map((name) => Number(pm.collectionVariables.get(name)));
  pm.expect(answer.items.map((visit) => visit.id)).to.have.members(wanted);
});
pm.test("with their patients", () => {
  for (const visit of answer.items) pm.expect(visit.patient.id).to.equal(visit.patient_id);
});
`,
  },
  {
    name: "What happened to Ann's visit?",
    method: "GET",
    path: "/appointments/{{appointmentId}}/history",
    test: is(200) + read + `pm.test("all of it is there", () => pm.expect(answer.items.length).to.be.at.least(4));\n`,
  },
];
