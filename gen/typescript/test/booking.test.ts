import { etag, isProblem, NoAnswer, ProblemError, problemOf, unwrap } from "mems-client";
import { describe, expect, test } from "vitest";
import { connect, inDays, listening, patient, scene } from "./clinic.js";

const mems = connect();

describe("booking", () => {
  test("books, and reads back what was booked", async () => {
    const { body } = await scene(mems);
    const booked = await mems.bookAppointment({ body });
    expect(booked.error).toBeUndefined();
    expect(booked.response?.status).toBe(201);
    expect(booked.data).toMatchObject({
      ...body,
      start_time: body.start_time.replace(".000", ""),
      status: "scheduled",
    });

    const read = await mems.getAppointment({
      path: { id: booked.data?.id ?? 0 },
      query: { include: ["patient", "doctor"] },
    });
    expect(read.data?.id).toBe(booked.data?.id);
    expect(read.data?.doctor?.id).toBe(body.doctor_id);
    expect(read.data?.patient?.id).toBe(body.patient_id);
    expect(etag(read)).toBe(etag(booked));
  });

  test("a taken time is a problem with what is in the way and what is free", async () => {
    const { body } = await scene(mems);
    await unwrap(mems.bookAppointment({ body }));
    const other = await patient(mems);

    const { data, error } = await mems.bookAppointment({ body: { ...body, patient_id: other.id } });
    expect(data).toBeUndefined();
    if (!isProblem(error, "doctor-overlap")) throw new Error(`not doctor-overlap: ${JSON.stringify(error)}`);
    expect(error.type).toBe("/problems/doctor-overlap");
    expect(error.conflict?.start_time).toBe(body.start_time.replace(".000", ""));

    const alternative = error.alternatives?.[0];
    if (!alternative) throw new Error("no alternative");
    const instead = await unwrap(
      mems.bookAppointment({
        body: { ...body, patient_id: other.id, doctor_id: alternative.doctor_id, start_time: alternative.start_time },
      }),
    );
    expect(instead.status).toBe("scheduled");
  });

  test("a change on an old version is refused, on the present one it is made", async () => {
    const { ann } = await scene(mems);
    const read = await mems.getPatient({ path: { id: ann.id } });
    const version = etag(read) ?? "";
    const change = (first_name: string, ifMatch: string) =>
      mems.updatePatient({ path: { id: ann.id }, body: { first_name }, headers: { "If-Match": ifMatch } });

    const changed = await change("Anna", version);
    expect(changed.data?.first_name).toBe("Anna");
    const late = await change("Anne", version);
    expect(isProblem(late.error, "precondition-failed")).toBe(true);
    expect((await change("Anne", etag(changed) ?? "")).data?.first_name).toBe("Anne");
  });

  test("a merge patch goes out as one: null clears, absent stays", async () => {
    const { ann } = await scene(mems);
    const wire = listening();
    const { updatePatient } = connect({ fetch: wire.fetch });
    const path = { id: ann.id };
    await unwrap(updatePatient({ path, body: { phone: "+41 44 555 01 23", birth_date: "1984-02-29" } }));
    const cleared = await unwrap(updatePatient({ path, body: { phone: null } }));
    expect(cleared.phone).toBeNull();
    expect(cleared.birth_date).toBe("1984-02-29");
    expect(wire.sent.map((request) => request.headers.get("Content-Type"))).toEqual([
      "application/merge-patch+json",
      "application/merge-patch+json",
    ]);
  });

  test("deleting returns no data", async () => {
    const ann = await patient(mems);
    const gone = await mems.deletePatient({ path: { id: ann.id } });
    expect(gone.response?.status).toBe(204);
    expect(gone.data).toBeUndefined();
    expect(gone.error).toBeUndefined();
  });
});

describe("errors", () => {
  test("are told apart by type, and only by it", async () => {
    const { error } = await mems.bookAppointment({
      body: { patient_id: 1, doctor_id: 1, start_time: inDays(7), duration_minutes: 5 },
    });
    expect(isProblem(error)).toBe(true);
    expect(isProblem(error, "doctor-overlap", "patient-overlap")).toBe(false);
    if (!isProblem(error, "doctor-overlap", "validation-failed")) throw new Error("not narrowed");
    if (error.type !== "/problems/validation-failed") throw new Error("not narrowed by type");
    expect(error.errors).toMatchObject([{ pointer: "#/duration_minutes", code: "minimum" }]);
  });

  test("unwrap throws them with what the server said", async () => {
    const caught: unknown = await unwrap(mems.getPatient({ path: { id: 999_999_999 } })).catch(
      (error: unknown) => error,
    );
    expect(caught).toBeInstanceOf(ProblemError);
    expect(isProblem(caught)).toBe(false);
    expect(problemOf(caught)?.type).toBe("/problems/patient-not-found");
    expect(isProblem(problemOf(caught), "patient-not-found")).toBe(true);
  });

  test("no connection and a stranger's answer are no problem documents", async () => {
    const nobody = connect({ baseUrl: "http://127.0.0.1:9", retries: { attempts: 1 } });
    const lost = await nobody.getVersion();
    expect(lost.error).toBeInstanceOf(NoAnswer);
    expect(lost.response).toBeUndefined();
    expect(problemOf(lost.error)).toBeUndefined();

    const proxy = connect({ fetch: () => Promise.resolve(new Response("<h1>Bad Gateway</h1>", { status: 502 })) });
    const strange = await proxy.getVersion();
    expect(strange.error).toBeInstanceOf(NoAnswer);
    expect(strange.response?.status).toBe(502);
    expect((strange.error as NoAnswer).message).toContain("502");

    const portal = connect({
      fetch: () => Promise.resolve(new Response("{", { headers: { "Content-Type": "application/json" } })),
    });
    expect((await portal.getVersion()).error).toBeInstanceOf(NoAnswer);
  });
});
