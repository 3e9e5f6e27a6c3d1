-- Recurring series. The rule is local wall time in a zone; each date is an
-- appointment of its own, which knows its series.

-- +goose Up
CREATE TABLE appointment_series (
  id               BIGINT       NOT NULL AUTO_INCREMENT,
  rule             VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, -- RFC 5545 RRULE
  time_zone        VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  patient_id       BIGINT       NOT NULL,
  doctor_id        BIGINT       NOT NULL,
  start_time       DATETIME(6)  NOT NULL, -- of the first date
  duration_minutes SMALLINT     NOT NULL,
  version          BIGINT       NOT NULL DEFAULT 1,
  created_at       DATETIME(6)  NOT NULL,
  updated_at       DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY appointment_series_patient (patient_id),
  KEY appointment_series_doctor (doctor_id),
  CONSTRAINT appointment_series_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT,
  CONSTRAINT appointment_series_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE RESTRICT,
  CONSTRAINT appointment_series_duration CHECK (duration_minutes BETWEEN 15 AND 180)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

ALTER TABLE appointments
  ADD COLUMN series_id BIGINT NULL AFTER room_id,
  ADD KEY appointments_series (series_id, start_time),
  ADD CONSTRAINT appointments_series_exists FOREIGN KEY (series_id) REFERENCES appointment_series (id) ON DELETE RESTRICT;

-- +goose Down
ALTER TABLE appointments DROP FOREIGN KEY appointments_series_exists;
ALTER TABLE appointments DROP KEY appointments_series, DROP COLUMN series_id;
DROP TABLE appointment_series;
