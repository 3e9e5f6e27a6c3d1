// The reference folders: every operation of the contract, by tag, with the
// contract's own examples and a test that holds the answer to the contract.

const METHODS = ["get", "put", "post", "patch", "delete"];

// What an operation's {id} or example stands for, where the path does not tell.
// Changes that cannot be taken back go to records that nothing else here needs.
const SAVES = {
  createPatient: "newPatientId",
  createDoctor: "newDoctorId",
  createWalkIn: "ticketId",
  transferTicket: "ticketId",
  acceptOffer: "appointmentId",
  bookFhirAppointment: "appointmentId",
};
const TAKES = {
  deletePatient: "newPatientId",
  updateDoctor: "newDoctorId",
  replaceWorkingHours: "newDoctorId",
  deleteDoctor: "newDoctorId",
};
// Parameters that are optional one by one, but needed together.
const ASKS = {
  listAvailability: ["doctor_id", "duration_minutes"],
  listNextAvailable: ["doctor_id", "duration_minutes"],
  listAppointments: ["date"],
};
// The records that resources of FHIR are.
const RESOURCES = {
  Patient: "patientId",
  Practitioner: "doctorId",
  Schedule: "doctorId",
  Appointment: "appointmentId",
};
const MEMBERS = { type_id: "appointmentTypeId", duplicate_id: "otherPatientId" };

/** The folders, made from what the converter wrote, and the names of the variables that they use. */
export function reference(contract, folders) {
  const operations = new Map();
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation) operations.set(key(method, path), { path, method, operation, shared: item.parameters ?? [] });
    }
  }
  const variables = new Set();
  const left = new Set(operations.keys());
  const result = folders.map(({ name, description, item }) => ({
    name,
    description,
    item: leaves(item)
      .map(({ name, request }) => {
        const place = key(
          request.method,
          `/${request.url.path.map((part) => part.replace(/^:(.*)$/, "{$1}")).join("/")}`,
        );
        const found = operations.get(place);
        if (!found) throw new Error(`${place} of the converter is not in the contract`);
        left.delete(place);
        return endless(contract, found.operation) ? undefined : makeItem(contract, name, found, variables);
      })
      .filter(Boolean),
  }));
  if (left.size > 0) throw new Error(`the converter left out ${[...left].join(", ")}`);
  return { folders: result.filter(({ item }) => item.length > 0), variables: [...variables] };
}

function leaves(items) {
  return items.flatMap((item) => (item.item ? leaves(item.item) : [item]));
}

function key(method, path) {
  return `${method.toUpperCase()} ${path}`;
}

// A stream never ends, and Postman waits for its end.
function endless(contract, { responses }) {
  return Object.values(responses).some((response) => resolve(contract, response).content?.["text/event-stream"]);
}

function makeItem(contract, name, { path, method, operation, shared }, variables) {
  const parameters = [...shared, ...(operation.parameters ?? [])].map((parameter) => resolve(contract, parameter));
  const use = (variable) => {
    variables.add(variable);
    return `{{${variable}}}`;
  };
  const inPath = path
    .slice(1)
    .split("/")
    .map((part, index, parts) => {
      const [, parameter] = /^\{(.*)\}$/.exec(part) ?? [];
      if (!parameter) return part;
      const { schema, example } = parameters.find((one) => one.in === "path" && one.name === parameter);
      if (path.startsWith("/fhir/") && RESOURCES[parts[index - 1]]) return use(RESOURCES[parts[index - 1]]);
      if (resolve(contract, schema).type !== "integer") return String(example);
      return use(
        index === 1 && TAKES[operation.operationId] ? TAKES[operation.operationId] : variableOf(parts[index - 1]),
      );
    });
  const query = parameters
    .filter((one) => one.in === "query")
    .flatMap(({ name, required, example, explode, description = "" }) =>
      (Array.isArray(example) && !explode ? [example.join(",")] : [example ?? ""].flat()).map((value) => ({
        key: name,
        value: own(String(value), name, use),
        description: description.trim(),
        ...(!required && !ASKS[operation.operationId]?.includes(name) && { disabled: true }),
      })),
    );
  const header = parameters
    .filter((one) => one.in === "header")
    .map(({ name, example, description = "" }) => ({
      key: name,
      value: name === "Idempotency-Key" ? "{{$guid}}" : String(example ?? ""),
      description: description.trim(),
      ...(name !== "Idempotency-Key" && { disabled: true }),
    }));
  const [[type, media] = []] = Object.entries(resolve(contract, operation.requestBody)?.content ?? {});
  if (type) header.push({ key: "Content-Type", value: type });

  const asked = query.filter(({ disabled }) => !disabled).map(({ key, value }) => `${key}=${value}`);
  const request = {
    method: method.toUpperCase(),
    header,
    url: {
      raw: `{{baseUrl}}/${inPath.join("/")}${asked.length > 0 ? "?" : ""}${asked.join("&")}`,
      host: ["{{baseUrl}}"],
      path: inPath,
      ...(query.length > 0 && { query }),
    },
    description: operation.description ?? operation.summary,
    ...(type && {
      body: {
        mode: "raw",
        raw: bodyOf(contract, operation.operationId, media, use),
        options: { raw: { language: "json" } },
      },
    }),
  };
  return {
    name,
    event: [{ listen: "test", script: { type: "text/javascript", exec: testOf(contract, path, operation) } }],
    request,
    response: examplesOf(contract, operation),
  };
}

// The first example of the body, with ids, days and names of this run.
function bodyOf(contract, operationId, { examples = {}, example }, use) {
  const [first] = Object.values(examples);
  const value = first ? resolve(contract, first).value : example;
  if (value === undefined) throw new Error(`${operationId} has a body without an example: add one to openapi.yaml`);
  const filled = JSON.stringify(
    value,
    (name, inner) => {
      if (typeof inner === "object") return inner;
      if (name === "name" || name === "last_name") return `${inner} {{run}}`;
      return name === "email" ? inner.replace("@", ".{{run}}@") : own(inner, name, use);
    },
    2,
  );
  return filled.replace(/"(\{\{\w+Id\}\})"/g, "$1");
}

// own makes one value of an example that of this run.
function own(value, name, use) {
  const [, resource] = /^([A-Z]\w+)\/\d+$/.exec(value) ?? [];
  if (RESOURCES[resource]) return `${resource}/${use(RESOURCES[resource])}`;
  if (name === "_id") return value; // of any resource
  if (/_id$/.test(name) && /^[\d,]+$/.test(String(value))) return use(MEMBERS[name] ?? variableOf(name.slice(0, -3)));
  return typeof value === "string" ? current(value) : value;
}

// current moves the days of an example to those of this run.
function current(text) {
  return text.replace(/\b20(2[7-9]|[3-9]\d)-\d\d-\d\d/g, (day) => {
    const after = Math.round((Date.parse(day) - Date.parse("2027-03-01")) / 86_400_000);
    return after === 0 ? "{{day}}" : after > 0 ? `{{day${after}}}` : `{{dayMinus${-after}}}`;
  });
}

// "appointment-types", "time-off" or "patient" as appointmentTypeId, timeOffId, patientId.
function variableOf(word) {
  const singular = word.endsWith("series") ? "series" : word.replace(/s$/, "");
  const camel = singular.replace(/[-_](\w)/g, (_, letter) => letter.toUpperCase());
  return `${camel.charAt(0).toLowerCase()}${camel.slice(1)}Id`;
}

function testOf(contract, path, { operationId, responses }) {
  const documented = {};
  for (const [status, response] of Object.entries(responses)) {
    documented[status] = Object.keys(resolve(contract, response).content ?? {});
  }
  const lines = [
    `const documented = ${JSON.stringify(documented)};`,
    `const { code } = pm.response;`,
    `const type = (pm.response.headers.get("Content-Type") || "").split(";")[0];`,
    `pm.test("a documented status, and no fault of the server", () => {`,
    `  pm.expect(Object.keys(documented)).to.include(String(code));`,
    `  pm.expect(code).to.be.below(500);`,
    `});`,
    `pm.test("the documented media type", () => pm.expect(documented[code]).to.satisfy((types) =>`,
    `  types.length === 0 ? pm.response.responseSize === 0 : types.includes(type)));`,
    `if (code >= 400) {`,
    ...(path.startsWith("/fhir/")
      ? [
          `  const [issue] = pm.response.json().issue;`,
          `  const { coding, text: title } = issue.details;`,
          `  const answer = { type: coding[0].code, title, detail: issue.diagnostics, status: code };`,
        ]
      : [`  const answer = pm.response.json();`]),
    `  pm.test("a problem document, but none about the request's form", () => {`,
    `    pm.expect(answer).to.include.keys("type", "title", "status", "detail");`,
    `    pm.expect(answer.status).to.equal(code);`,
    `    pm.expect([400, 401, 403, 406, 413, 415]).to.not.include(code);`,
    `    pm.expect(answer.type).to.not.match(/validation-failed$/);`,
    `  });`,
    `}`,
  ];
  const created = responses["201"] && resolve(contract, responses["201"]);
  if (created?.headers?.Location) {
    const last = path
      .split("/")
      .filter((part) => !part.startsWith("{"))
      .at(-1);
    const variable = SAVES[operationId] ?? variableOf(last);
    lines.push(
      `const made = pm.response.headers.get("Location");`,
      `if (code === 201) pm.collectionVariables.set("${variable}", made.split("/").pop());`,
    );
  }
  return lines;
}

// The answers that the contract shows, as saved examples.
function examplesOf(contract, { responses }) {
  return Object.entries(responses).flatMap(([status, written]) => {
    const { description, content = {} } = resolve(contract, written);
    return Object.entries(content).flatMap(([type, { examples = {} }]) =>
      Object.values(examples).map((example) => {
        const { summary, value } = resolve(contract, example);
        return {
          name: summary ?? description.trim().split("\n")[0],
          code: Number(status),
          _postman_previewlanguage: type.endsWith("json") ? "json" : "text",
          header: [{ key: "Content-Type", value: type }],
          body: typeof value === "string" ? value : JSON.stringify(value, null, 2),
        };
      }),
    );
  });
}

function resolve(contract, written) {
  let found = written;
  while (found?.$ref) {
    found = found.$ref
      .slice(2)
      .split("/")
      .reduce((place, step) => place[step.replaceAll("~1", "/").replaceAll("~0", "~")], contract);
  }
  return found;
}
