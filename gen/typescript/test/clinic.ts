// A doctor and patients of its own for each test, so that none meets another's.
import { randomUUID } from "node:crypto";
import { createMems, instant, type Mems, type MemsOptions, unwrap } from "mems-client";
import { inject } from "vitest";

/** A client of the test server. */
export function connect(options: Partial<MemsOptions> = {}): Mems {
  return createMems({ baseUrl: inject("url"), apiKey: inject("apiKey"), ...options });
}

/** A word that no other test uses; letters only. */
export function unique(): string {
  return randomUUID().replace(/[0-9-]/g, (sign) => "ghijklmnopq"["0123456789-".indexOf(sign)] ?? "");
}

/** Registers somebody. */
export function patient(mems: Mems, lastName = unique()) {
  return unwrap(mems.createPatient({ body: { first_name: "Ann", last_name: lastName } }));
}

/** A new doctor, a patient, and what books the one with the other. */
export async function scene(mems: Mems) {
  const doctor = await unwrap(
    mems.createDoctor({ body: { full_name: `Dr. ${unique()}`, specialization: "Dermatology" } }),
  );
  const ann = await patient(mems);
  const body = { patient_id: ann.id, doctor_id: doctor.id, start_time: inDays(7), duration_minutes: 30 };
  return { doctor, ann, body };
}

/** Ten o'clock UTC so many days from now. */
export function inDays(days: number, minutes = 0): string {
  const day = new Date(Date.now() + days * 86_400_000);
  day.setUTCHours(10, minutes, 0, 0);
  return instant(day);
}

/** A fetch that notes each request on its way to the given one. */
export function listening(send: typeof fetch = fetch): { sent: Request[]; fetch: typeof fetch } {
  const sent: Request[] = [];
  return {
    sent,
    fetch: (input, init) => {
      const request = new Request(input, init);
      sent.push(request.clone());
      return send(request);
    },
  };
}

/** All that an iterator gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
