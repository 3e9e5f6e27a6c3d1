import type { Appointment, AppointmentType, Doctor, Room } from "mems-client";
import { describe, expect, test } from "vitest";
import { readBirthDate, shownBirthDate, withIsoDate } from "./birth.js";
import {
  allows,
  ANY_ROOM,
  availabilityOf,
  bookingOf,
  lastDoctor,
  newDraft,
  NO_ROOM,
  rescheduleOf,
  settle,
} from "./draft.js";
import { newPatientOf, particulars } from "./person.js";

const doctor = (id: number, specialization: string) => ({ id, full_name: `Dr. ${id}`, specialization }) as Doctor;
const type = (more: Partial<AppointmentType>) =>
  ({
    id: 5,
    name: "Skin check",
    is_active: true,
    specializations: [],
    doctor_ids: [],
    needs_room: false,
    room_ids: [],
    duration_minutes: 45,
    ...more,
  }) as AppointmentType;
const room = (id: number, is_active = true) => ({ id, name: `Room ${id}`, is_active }) as Room;
const ann = { id: 7, mrn: "00000013", first_name: "Ann", last_name: "Muster", birth_date: "1980-02-03", phone: null };
const start = Date.parse("2027-07-01T08:00:00Z");

describe("who may be booked for a type", () => {
  test.each([
    ["anybody", {}, true],
    ["case does not matter", { specializations: ["DERMATOLOGY"] }, true],
    ["nor does the form of an accent", { specializations: ["De\u0301rmatology"] }, false],
    ["another specialization", { specializations: ["Cardiology"] }, false],
    ["a doctor by name", { specializations: ["Cardiology"], doctor_ids: [3] }, true],
    ["only other doctors", { doctor_ids: [4] }, false],
  ])("%s", (_, more, expected) => expect(allows(type(more), doctor(3, "Dermatology"))).toBe(expected));

  test("composed and decomposed accents are one, and ß is SS", () => {
    expect(allows(type({ specializations: ["Pe\u0301diatrie"] }), doctor(3, "P\u00c9DIATRIE"))).toBe(true);
    expect(allows(type({ specializations: ["Fußpflege"] }), doctor(3, "FUSSPFLEGE"))).toBe(true);
  });
});

describe("a draft", () => {
  const house = {
    types: [type({ specializations: ["Dermatology"], room_ids: [1] }), type({ id: 6, name: "Old", is_active: false })],
    doctors: [doctor(3, "Dermatology"), doctor(4, "Cardiology")],
    rooms: [room(1), room(2), room(3, false)],
  };

  test("is left alone when all of it holds", () => {
    const d = newDraft({ type: 5, doctor: 3, room: 1, start });
    expect(settle(d, house)).toEqual({ draft: d, notes: [] });
  });

  test.each([
    ["a type that the doctor does not offer", { type: 5, doctor: 4 }, { type: 0 }, "Dr. 4 does not offer Skin check"],
    ["a type that is not booked any more", { type: 6, doctor: 3 }, { type: 0 }, "Old can no longer be booked"],
    ["a type that is gone", { type: 9, doctor: 3 }, { type: 0 }, "This type can no longer be booked"],
    ["a doctor who is gone", { doctor: 9 }, { doctor: 0 }, "Choose another one"],
    [
      "a room that is not for the type",
      { type: 5, doctor: 3, room: 2 },
      { room: NO_ROOM },
      "Room 2 is not a room for Skin check",
    ],
    ["a room that is closed", { doctor: 3, room: 3 }, { room: NO_ROOM }, "Room 3 can no longer be booked"],
  ])("%s is cleared, and said so", (_, known, cleared, note) => {
    const settled = settle(newDraft({ ...known, start }), house);
    expect(settled.draft).toEqual(newDraft({ ...known, start, ...cleared }));
    expect(settled.notes.join()).toContain(note);
  });

  test("books what its free times were computed with", () => {
    const d = { ...newDraft({ type: 5, doctor: 3, start, minutes: 45, reason: " Knee ", note: " " }), patient: ann };
    expect(availabilityOf(d)).toEqual({ type_id: 5, duration_minutes: 45, patient_id: 7 });
    const booked = {
      patient_id: 7,
      doctor_id: 3,
      start_time: "2027-07-01T08:00:00.000Z",
      duration_minutes: 45,
      type_id: 5,
      reason: " Knee ",
    };
    expect(bookingOf(d)).toEqual(booked);
    expect(bookingOf({ ...d, note: "X-ray" })).toEqual({ ...booked, note: "X-ray" });
    expect(bookingOf({ ...d, room: 1 })).toEqual({ ...booked, room_id: 1 });
    expect(bookingOf({ ...d, room: ANY_ROOM })).toEqual({ ...booked, any_room: true });
  });
});

test("the room follows to another doctor unless one was chosen", () => {
  const a = { doctor_id: 3, room_id: 1 } as Appointment;
  const start_time = "2027-07-01T08:00:00.000Z";
  expect(rescheduleOf(a, { doctor: 3, start })).toEqual({ doctor_id: 3, start_time });
  expect(rescheduleOf(a, { doctor: 4, start })).toEqual({ doctor_id: 4, start_time, any_room: true });
  expect(rescheduleOf(a, { doctor: 4, start, room: 2 })).toEqual({ doctor_id: 4, start_time, room_id: 2 });
  expect(rescheduleOf(a, { doctor: 4, start, room: NO_ROOM })).toEqual({ doctor_id: 4, start_time, room_id: null });
  expect(rescheduleOf({ ...a, room_id: null }, { doctor: 4, start })).toEqual({ doctor_id: 4, start_time });
});

test("a patient goes on with the doctor of the last visit, else of the next one", () => {
  const visit = (doctor_id: number, start_time: string, status = "completed") =>
    ({ doctor_id, start_time, status }) as Appointment;
  const doctors = [{ id: 3 }, { id: 4 }];
  const now = Date.parse("2027-07-01T00:00:00Z");
  const past = [visit(3, "2027-05-01T08:00:00Z"), visit(4, "2027-06-01T08:00:00Z"), visit(9, "2027-06-20T08:00:00Z")];
  expect(lastDoctor([...past, visit(3, "2027-06-10T08:00:00Z", "cancelled")], now, doctors)).toBe(4);
  expect(
    lastDoctor(
      [visit(4, "2027-09-01T08:00:00Z", "scheduled"), visit(3, "2027-08-01T08:00:00Z", "scheduled")],
      now,
      doctors,
    ),
  ).toBe(3);
  expect(lastDoctor([], now, doctors)).toBe(0);
});

describe("birth dates", () => {
  test.each([
    ["1980-02-03", "en-GB", "1980-02-03"],
    ["1980/2/3", "de-CH", "1980-02-03"],
    ["03/02/1980", "en-GB", "1980-02-03"],
    ["02/03/1980", "en-US", "1980-02-03"],
    ["25/12/1980", "en-US", "1980-12-25"],
    ["3.2.80", "de-CH", "1980-02-03"],
    ["3.2.12", "de-CH", "2012-02-03"],
    ["3 Feb 1980", "en-GB", "1980-02-03"],
    ["Feb 3, 1980", "en-US", "1980-02-03"],
    ["3. März 1980", "de-DE", "1980-03-03"],
    ["3 févr. 1980", "fr-FR", "1980-02-03"],
    ["29.2.1981", "de-CH", undefined],
    ["3.2.2099", "de-CH", undefined],
    ["044 555 01", "de-CH", undefined],
    ["Anna Maria Haddad", "en-GB", undefined],
    ["1980", "en-GB", undefined],
  ])("%s in %s", (text, locale, expected) => expect(readBirthDate(text, "2026-11-26", locale)).toBe(expected));

  test.each(["en-GB", "en-US", "de-CH", "fr-FR", "tr-TR", "pl-PL", "pt-BR"])(
    "what is shown in %s can be typed",
    (locale) => {
      for (let month = 1; month <= 12; month++) {
        const iso = `1980-${String(month).padStart(2, "0")}-03`;
        expect([shownBirthDate(iso, locale), readBirthDate(shownBirthDate(iso, locale), "2026-11-26", locale)]).toEqual(
          [shownBirthDate(iso, locale), iso],
        );
      }
    },
  );

  test.each([
    ["17/03/1984", "en-GB", "1984-03-17"],
    ["Haddad 17/03/1984", "en-GB", "Haddad 1984-03-17"],
    ["17.3.84 Haddad, Aiko", "de-CH", "1984-03-17 Haddad, Aiko"],
    ["Aiko Mar 17, 1984", "en-US", "Aiko 1984-03-17"],
    ["Haddad, Aiko", "en-GB", "Haddad, Aiko"],
    ["044 12 11 79", "de-CH", "044 12 11 79"],
    ["+41 44 555 01 77", "de-CH", "+41 44 555 01 77"],
    ["Haddad 1984-03-17", "de-CH", "Haddad 1984-03-17"],
  ])("in a search for %s in %s", (text, locale, expected) =>
    expect(withIsoDate(text, "2026-11-26", locale)).toBe(expected),
  );

  test("are what tells two of one name apart", () => {
    expect(particulars(ann)).toMatch(/^born .*1980 · no\. 00000013$/);
    expect(particulars({ ...ann, birth_date: null })).toBe("birth date unknown · no. 00000013");
  });
});

test.each([
  ["Muster, Ann", { first: "Ann", last: "Muster" }],
  ["Ann van der Berg", { first: "Ann", last: "van der Berg" }],
  ["+41 44 555 01 77", { phone: "+41 44 555 01 77" }],
  ["1980-02-03", { birth: "1980-02-03" }],
  ["ann@example.org", { email: "ann@example.org" }],
])("%s is a patient to register", (text, known) => {
  expect(newPatientOf(text, "2026-11-26")).toEqual({ first: "", last: "", birth: "", phone: "", email: "", ...known });
});
