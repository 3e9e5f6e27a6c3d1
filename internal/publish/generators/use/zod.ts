// Checks a body with openapi-zod-client's schemas. Compiled, not run.
import { schemas } from "../out/zod.js";

export function names(): string {
  const body = schemas.PatientCreate.parse({ first_name: "Ann", last_name: "Muster" });
  return `${body.first_name} ${body.last_name}`;
}
