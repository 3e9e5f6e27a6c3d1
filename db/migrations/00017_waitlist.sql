-- What undoing a reschedule needs beyond the history, and freed times that are still
-- to be offered to the waitlist. New tables only, so old programs can live with it,
-- and each statement can be run again.

-- +goose Up
-- The rules that an appointment broke on purpose after a change; without a row it
-- broke none.
CREATE TABLE IF NOT EXISTS appointment_event_overrides (
  appointment_id     BIGINT       NOT NULL,
  version            BIGINT       NOT NULL,
  doctor_overbooked  TINYINT(1)   NOT NULL,
  patient_overbooked TINYINT(1)   NOT NULL,
  outside_hours      TINYINT(1)   NOT NULL,
  reason             VARCHAR(500) NOT NULL,
  PRIMARY KEY (appointment_id, version),
  CONSTRAINT appointment_event_overrides_of FOREIGN KEY (appointment_id, version)
    REFERENCES appointment_events (appointment_id, version) ON DELETE CASCADE
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Written by the transaction that frees a time, deleted by the one that has offered
-- it to all whom it fits.
CREATE TABLE IF NOT EXISTS freed_times (
  id          BIGINT      NOT NULL AUTO_INCREMENT,
  doctor_id   BIGINT      NULL, -- null: of all doctors whom the entry would see
  waitlist_id BIGINT      NULL, -- only for this entry; null: for all of them
  start_time  DATETIME(6) NOT NULL,
  end_time    DATETIME(6) NOT NULL,
  due_at      DATETIME(6) NOT NULL, -- when it is free: for a hold, when it expires
  after_entry BIGINT      NOT NULL DEFAULT 0, -- the last entry that was looked at
  PRIMARY KEY (id),
  KEY freed_times_due (due_at, id),
  KEY freed_times_doctor (doctor_id),
  KEY freed_times_waitlist (waitlist_id),
  CONSTRAINT freed_times_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT freed_times_waitlist_exists FOREIGN KEY (waitlist_id) REFERENCES waitlist (id) ON DELETE CASCADE,
  CONSTRAINT freed_times_order CHECK (start_time < end_time)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Version 0.1.0 offered only times that became free. Search once for each entry that
-- waits, or later entries would be offered what is free before it.
INSERT INTO freed_times (waitlist_id, start_time, end_time, due_at)
SELECT w.id, w.from_time, w.to_time, w.created_at
FROM waitlist AS w
LEFT JOIN freed_times AS f ON f.waitlist_id = w.id
WHERE w.status = 'waiting' AND f.id IS NULL
ORDER BY w.id;

-- +goose Down
DROP TABLE IF EXISTS freed_times;
DROP TABLE IF EXISTS appointment_event_overrides;
