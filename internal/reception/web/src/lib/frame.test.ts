import type { Appointment, Change, Closure, Ticket, TimeOff } from "mems-client";
import { describe, expect, test } from "vitest";
import { apply, applyTicket, type Frame } from "./frame.js";

const day = (hours: number) => `2027-03-01T${String(hours).padStart(2, "0")}:00:00Z`;
const patient = { id: 7, last_name: "Muster" } as Appointment["patient"];
const visit = (id: number, at: number, more: Partial<Appointment> = {}) =>
  ({ id, patient_id: 7, doctor_id: 1, start_time: day(at), end_time: day(at + 1), patient, ...more }) as Appointment;
const change = (object: Change["object"], object_id: number, more: Partial<Change> = {}) =>
  ({ object, object_id, doctor_id: 1, deleted: false, ...more }) as Change;
const frame: Frame = {
  start: Date.parse(day(0)),
  end: Date.parse("2027-03-02T00:00:00Z"),
  doctors: new Set([1, 2]),
  visits: [visit(1, 9), visit(2, 11)],
  closures: [],
  hours: { 1: { timetables: [], exceptions: [] } },
  away: { 1: [], 2: [] },
};
const ids = (f: Frame) => f.visits.map((v) => v.id);
const booked = (v: Appointment) => apply(frame, change("appointment", v.id, { appointment: v }));

describe("a change of an appointment", () => {
  test("is put in by start", () => expect(ids(booked(visit(3, 10)))).toEqual([1, 3, 2]));
  test("replaces what was known", () => expect(ids(booked(visit(1, 12)))).toEqual([2, 1]));
  test("to another day takes it out", () => {
    expect(ids(booked(visit(1, 9, { start_time: "2027-03-02T09:00:00Z", end_time: "2027-03-02T10:00:00Z" })))).toEqual([
      2,
    ]);
  });
  test("to a doctor who is not shown takes it out", () =>
    expect(ids(booked(visit(1, 9, { doctor_id: 3 })))).toEqual([2]));
  test("without a record is one that may no longer be seen", () => {
    expect(ids(apply(frame, change("appointment", 1)))).toEqual([2]);
  });
  test("of another day changes nothing", () => {
    expect(apply(frame, change("appointment", 9))).toBe(frame);
    expect(apply(frame, change("hold", 1))).toBe(frame);
  });
  test("keeps the patient who is known", () => {
    const bare = visit(3, 10);
    delete bare.patient;
    expect(booked(bare).visits[1]?.patient).toBe(patient);
  });
});

test("absences, closures, hours and patients", () => {
  const off = { id: 5, doctor_id: 2, start_time: day(8), end_time: day(9) } as TimeOff;
  const away = apply(frame, change("time_off", 5, { doctor_id: 2, time_off: off }));
  expect(away.away[2]).toEqual([off]);
  expect(frame.away[2]).toEqual([]);
  expect(apply(away, change("time_off", 5, { doctor_id: 2, deleted: true })).away[2]).toEqual([]);
  const closure = { id: 6, start_time: day(0), end_time: day(24) } as Closure;
  expect(
    apply(frame, change("closure", 6, { closure: { ...closure, end_time: "2027-03-02T00:00:00Z" } })).closures,
  ).toHaveLength(1);
  const hours = { timetables: [], exceptions: [{ date: "2027-03-01", blocks: [] }] };
  expect(apply(frame, change("working_hours", 1, { working_hours: hours })).hours[1]).toBe(hours);
  expect(apply(frame, change("working_hours", 3, { working_hours: hours }))).toBe(frame);
  const renamed = apply(
    frame,
    change("patient", 7, { patient: { ...patient, last_name: "Neu" } as Change["patient"] }),
  );
  expect(renamed.visits.map((v) => v.patient?.last_name)).toEqual(["Neu", "Neu"]);
});

test("tickets of a date", () => {
  const ticket = { id: 1, date: "2027-03-01", status: "waiting" } as Ticket;
  const taken = applyTicket([], "2027-03-01", change("ticket", 1, { ticket }));
  expect(taken).toEqual([ticket]);
  const called = { ...ticket, status: "called" } as Ticket;
  expect(applyTicket(taken, "2027-03-01", change("ticket", 1, { ticket: called }))).toEqual([called]);
  expect(applyTicket(taken, "2027-03-01", change("ticket", 1))).toEqual([]);
  expect(applyTicket(taken, "2027-03-02", change("ticket", 2, { ticket: { ...ticket, id: 2 } }))).toBe(taken);
});
