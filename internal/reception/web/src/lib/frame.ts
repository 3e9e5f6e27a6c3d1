// What is known of a range of days, and how a change of one record changes it.
import type { Appointment, Change, Closure, Ticket, TimeOff, WorkingHours } from "mems-client";

/** The schedule of some doctors on a range of days. It is never changed in place. */
export interface Frame {
  start: number;
  /** The first moment after it. */
  end: number;
  doctors: ReadonlySet<number>;
  visits: Appointment[];
  closures: Closure[];
  hours: Record<number, WorkingHours>;
  away: Record<number, TimeOff[]>;
}

/** Returns the frame with a change in it: the same one if the change is not of it. */
export function apply(frame: Frame, change: Change): Frame {
  switch (change.object) {
    case "appointment":
      return withMember(frame, "visits", replaced(frame.visits, change.object_id, visitIn(frame, change.appointment)));
    case "closure":
      return withMember(frame, "closures", replaced(frame.closures, change.object_id, within(frame, change.closure)));
    case "time_off":
      return withTimeOff(frame, change);
    case "working_hours":
      return withHours(frame, change);
    case "patient":
      return withPatient(frame, change);
    default:
      return frame;
  }
}

/** Returns the tickets of a date with a change in them. */
export function applyTicket(tickets: Ticket[], date: string, change: Change): Ticket[] {
  if (change.object !== "ticket") return tickets;
  const ticket = change.ticket?.date === date ? change.ticket : undefined;
  const at = tickets.findIndex((t) => t.id === change.object_id);
  if (at < 0) return ticket ? [...tickets, ticket] : tickets;
  return ticket ? tickets.with(at, ticket) : tickets.toSpliced(at, 1);
}

type Timed = { id: number; start_time: string; end_time: string };

function withMember<K extends keyof Frame>(frame: Frame, member: K, value: Frame[K]): Frame {
  return value === frame[member] ? frame : { ...frame, [member]: value };
}

/** The record if it lies in the frame. */
function within<T extends Timed>(frame: Frame, record: T | undefined): T | undefined {
  if (!record || Date.parse(record.start_time) >= frame.end) return undefined;
  return Date.parse(record.end_time) > frame.start ? record : undefined;
}

// A record that comes without its patient, such as that of one who was erased, keeps the one that is known.
function visitIn(frame: Frame, record: Appointment | undefined): Appointment | undefined {
  const visit = within(frame, record);
  if (!visit || !frame.doctors.has(visit.doctor_id)) return undefined;
  if (visit.patient) return visit;
  const known = frame.visits.find((v) => v.patient_id === visit.patient_id)?.patient;
  return known ? { ...visit, patient: known } : visit;
}

/** The list without the record of this id and with the new one, by start and id; the same list if it has neither. */
function replaced<T extends Timed>(list: T[], id: number, record: T | undefined): T[] {
  const others = list.filter((item) => item.id !== id);
  if (!record) return others.length === list.length ? list : others;
  const start = Date.parse(record.start_time);
  const at = others.findIndex(
    (o) => Date.parse(o.start_time) > start || (o.start_time === record.start_time && o.id > id),
  );
  return others.toSpliced(at < 0 ? others.length : at, 0, record);
}

function withTimeOff(frame: Frame, change: Change): Frame {
  const doctor = change.doctor_id ?? change.time_off?.doctor_id;
  if (doctor === undefined || !frame.away[doctor]) return frame;
  const away = replaced(frame.away[doctor], change.object_id, within(frame, change.time_off));
  return away === frame.away[doctor] ? frame : { ...frame, away: { ...frame.away, [doctor]: away } };
}

function withHours(frame: Frame, { object_id, working_hours }: Change): Frame {
  if (!frame.hours[object_id] || !working_hours) return frame;
  return { ...frame, hours: { ...frame.hours, [object_id]: working_hours } };
}

function withPatient(frame: Frame, { object_id, patient }: Change): Frame {
  if (!patient || !frame.visits.some((v) => v.patient_id === object_id)) return frame;
  return { ...frame, visits: frame.visits.map((v) => (v.patient_id === object_id ? { ...v, patient } : v)) };
}
