-- The waitlist: who would come if a time became free. An offer is a hold for the
-- patient; the entry knows it.

-- +goose Up
CREATE TABLE waitlist (
  id               BIGINT       NOT NULL AUTO_INCREMENT,
  patient_id       BIGINT       NOT NULL,
  doctor_ids       JSON         NOT NULL, -- these doctors; empty together with no specialization: anybody
  specialization   VARCHAR(100) NULL,
  type_id          BIGINT       NULL,
  duration_minutes SMALLINT     NOT NULL,
  from_time        DATETIME(6)  NOT NULL, -- in which it may start
  to_time          DATETIME(6)  NOT NULL,
  note             VARCHAR(500) NULL,
  status           VARCHAR(20)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  offer_id         BIGINT       NULL, -- the hold
  offered_doctor   BIGINT       NULL,
  offered_start    DATETIME(6)  NULL,
  offer_expires_at DATETIME(6)  NULL,
  missed_offers    INT          NOT NULL DEFAULT 0,
  appointment_id   BIGINT       NULL, -- what was booked
  version          BIGINT       NOT NULL DEFAULT 1,
  created_at       DATETIME(6)  NOT NULL,
  updated_at       DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY waitlist_open (status, id),
  KEY waitlist_offers (status, offer_expires_at),
  KEY waitlist_patient (patient_id, id),
  KEY waitlist_type (type_id),
  KEY waitlist_appointment (appointment_id),
  CONSTRAINT waitlist_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
  CONSTRAINT waitlist_type_exists FOREIGN KEY (type_id) REFERENCES appointment_types (id) ON DELETE CASCADE,
  CONSTRAINT waitlist_appointment_exists FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE SET NULL,
  CONSTRAINT waitlist_order CHECK (from_time < to_time),
  CONSTRAINT waitlist_duration CHECK (duration_minutes BETWEEN 15 AND 180),
  CONSTRAINT waitlist_status CHECK (status IN ('waiting', 'offered', 'booked', 'withdrawn', 'expired')),
  CONSTRAINT waitlist_offer CHECK (
    (status = 'offered') = (offer_id IS NOT NULL)
    AND (offer_id IS NULL) = (offered_doctor IS NULL) AND (offer_id IS NULL) = (offered_start IS NULL)
    AND (offer_id IS NULL) = (offer_expires_at IS NULL))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Offers that were let pass or declined: the same time is not offered to the same
-- entry again.
CREATE TABLE waitlist_missed (
  waitlist_id BIGINT      NOT NULL,
  doctor_id   BIGINT      NOT NULL,
  start_time  DATETIME(6) NOT NULL,
  PRIMARY KEY (waitlist_id, doctor_id, start_time),
  CONSTRAINT waitlist_missed_of FOREIGN KEY (waitlist_id) REFERENCES waitlist (id) ON DELETE CASCADE
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE waitlist_missed;
DROP TABLE waitlist;
