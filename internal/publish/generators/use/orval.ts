// Books an appointment with orval's fetch client. Compiled, not run.
import { bookAppointment, cancelAppointment, createDoctor, createPatient, listAvailability } from "../out/orval.js";

export async function visit(): Promise<string | undefined> {
  const doctor = await createDoctor({ full_name: "Dr Noor", specialization: "dermatology" });
  const patient = await createPatient({ first_name: "Ann", last_name: "Muster" });
  if (doctor.status !== 201 || patient.status !== 201) {
    return undefined;
  }
  const [from, to] = ["2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z"];
  const free = await listAvailability({ doctor_id: [doctor.data.id], from, to });
  if (free.status !== 200 || !free.data.items[0]) {
    return undefined;
  }
  const booked = await bookAppointment({
    patient_id: patient.data.id,
    doctor_id: doctor.data.id,
    start_time: free.data.items[0].start_time,
    duration_minutes: 30,
  });
  if (booked.status !== 201) {
    return booked.data.type;
  }
  const cancelled = await cancelAppointment(booked.data.id, { reason: "patient_request" });
  return cancelled.status === 200 ? cancelled.data.cancellation?.reason : undefined;
}
