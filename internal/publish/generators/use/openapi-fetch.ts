// Books an appointment with openapi-fetch. Compiled, not run: every body has the
// required members only.
import createClient from "openapi-fetch";
import type { paths } from "../out/openapi-typescript.js";

const mems = createClient<paths>({ baseUrl: "http://127.0.0.1:8080", headers: { "X-API-Key": "mems_1_key" } });

export async function visit(): Promise<string | undefined> {
  const doctor = await mems.POST("/doctors", { body: { full_name: "Dr Noor", specialization: "dermatology" } });
  await mems.POST("/rooms", { body: { name: "Room 1" } });
  await mems.POST("/appointment-types", { body: { name: "Skin check", duration_minutes: 30 } });
  const patient = await mems.POST("/patients", { body: { first_name: "Ann", last_name: "Muster" } });
  if (!doctor.data || !patient.data) {
    return patient.error?.type;
  }
  const free = await mems.GET("/availability", {
    params: { query: { doctor_id: [doctor.data.id], from: "2027-03-01T00:00:00Z", to: "2027-03-02T00:00:00Z" } },
  });
  const [slot] = free.data?.items ?? [];
  if (!slot) {
    return undefined;
  }
  const at = { doctor_id: slot.doctor_id, start_time: slot.start_time };
  await mems.POST("/holds", { body: { ...at, duration_minutes: 30 } });
  await mems.POST("/appointment-series", {
    body: { ...at, patient_id: patient.data.id, duration_minutes: 30, rule: "FREQ=WEEKLY;COUNT=4" },
  });
  const booked = await mems.POST("/appointments", {
    body: { ...at, patient_id: patient.data.id, duration_minutes: 30 },
    params: { header: { "Idempotency-Key": "one" } },
  });
  if (booked.error) {
    return booked.error.type;
  }
  const path = { id: booked.data.id };
  await mems.PATCH("/patients/{id}", { params: { path: { id: patient.data.id } }, body: { phone: null } });
  await mems.POST("/appointments/{id}/cancel", { params: { path }, body: { reason: "patient_request" } });
  const history = await mems.GET("/appointments/{id}/history", { params: { path } });
  return history.data?.items[0]?.from_status ?? new Date().toISOString();
}
