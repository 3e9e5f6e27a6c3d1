-- The waiting room: one row for each patient who is here, numbered for each
-- doctor and day without a gap. The number is taken under the doctor's guard row,
-- so a transaction that is rolled back gives it back; the unique key says so again.

-- +goose Up
CREATE TABLE tickets (
  id             BIGINT       NOT NULL AUTO_INCREMENT,
  doctor_id      BIGINT       NOT NULL,
  day            DATE         NOT NULL, -- the clinic's
  number         INT          NOT NULL,
  patient_id     BIGINT       NOT NULL,
  appointment_id BIGINT       NULL, -- null: a walk-in
  status         VARCHAR(20)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  note           VARCHAR(500) NULL,
  transferred_to BIGINT       NULL, -- the ticket that goes on for this one
  called_at      DATETIME(6)  NULL,
  version        BIGINT       NOT NULL DEFAULT 1,
  created_at     DATETIME(6)  NOT NULL,
  updated_at     DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY tickets_number (doctor_id, day, number),
  KEY tickets_patient (patient_id, day),
  KEY tickets_appointment (appointment_id),
  KEY tickets_transferred (transferred_to),
  CONSTRAINT tickets_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE RESTRICT,
  CONSTRAINT tickets_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT,
  CONSTRAINT tickets_appointment_exists FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE,
  CONSTRAINT tickets_transferred_to FOREIGN KEY (transferred_to) REFERENCES tickets (id) ON DELETE SET NULL,
  CONSTRAINT tickets_positive CHECK (number > 0),
  CONSTRAINT tickets_status CHECK (status IN ('waiting', 'called', 'in_progress', 'done', 'left', 'transferred', 'withdrawn'))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE tickets;
