// Who a dialog is about, and how the desk tells patients apart: by name, birth
// date and record number, since two patients may share a name.
import type { Patient, PatientPatch } from "mems-client";
import { readBirthDate, shownBirthDate } from "./birth.js";

export type Person = Pick<Patient, "id" | "mrn" | "first_name" | "last_name" | "birth_date" | "phone">;

/** "Andrei Haddad", as in a sentence or on a button. */
export function spokenName(p: { first_name: string; last_name: string }): string {
  return `${p.first_name} ${p.last_name}`.trim();
}

/** "born 3 Feb 1980 · no. 00000013 · +41 44 555 01 77": what tells two of one name apart. */
export function particulars(p: Pick<Person, "birth_date" | "mrn" | "phone">, phone = true): string {
  const born = p.birth_date ? `born ${shownBirthDate(p.birth_date)}` : "birth date unknown";
  return [born, `no. ${p.mrn}`, phone ? (p.phone ?? "") : ""].filter(Boolean).join(" · ");
}

/** A patient's fields as they are entered. */
export interface Entered {
  first: string;
  last: string;
  birth: string;
  phone: string;
  email: string;
}

/** A patient's record as fields. */
export function enteredOf(p: Patient): Entered {
  const { first_name: first, last_name: last, birth_date, phone, email } = p;
  return { first, last, birth: birth_date ?? "", phone: phone ?? "", email: email ?? "" };
}

/** The members that were changed; an emptied field is cleared. */
export function changedMembers(p: Patient, e: Entered): PatientPatch {
  const was = enteredOf(p);
  return {
    ...(e.first === was.first ? {} : { first_name: e.first }),
    ...(e.last === was.last ? {} : { last_name: e.last }),
    ...(e.birth === was.birth ? {} : { birth_date: e.birth || null }),
    ...(e.phone === was.phone ? {} : { phone: e.phone.trim() ? e.phone : null }),
    ...(e.email === was.email ? {} : { email: e.email.trim() ? e.email : null }),
  };
}

/** What a search without a match tells of a patient to register: "Muster, Ann", "Ann Muster", a phone number, … */
export function newPatientOf(text: string, today: string): Entered {
  const nobody = { first: "", last: "", birth: "", phone: "", email: "" };
  const t = text.trim();
  const birth = readBirthDate(t, today);
  if (birth) return { ...nobody, birth };
  if (t.includes("@")) return { ...nobody, email: t };
  if (/^[\d\s+()./-]+$/.test(t)) return { ...nobody, phone: t };
  const [first = "", last = ""] = t.includes(",") ? t.split(/\s*,\s*/u).reverse() : t.split(/\s+(.*)/u);
  return { ...nobody, first, last };
}
