-- The clinic: patients, doctors and their appointments.
--
-- Portable on purpose: MySQL 8.4 and later, MariaDB 10.11 and later, TiDB. All
-- DATETIME(6) are UTC, written by the application, never by NOW(). CHECK
-- constraints and foreign keys say the domain's rules again, for every writer.
-- Lengths, not comparison with '': to the collation a combining accent alone is ''.

-- +goose Up
CREATE TABLE installation (
  id         TINYINT    NOT NULL,
  disposable TINYINT(1) NOT NULL DEFAULT 0, -- 1: "mems reset" and "mems demo" may destroy or fill it
  PRIMARY KEY (id),
  CONSTRAINT installation_one_row CHECK (id = 1),
  CONSTRAINT installation_disposable CHECK (disposable IN (0, 1))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

INSERT INTO installation (id, disposable) VALUES (1, 0);

CREATE TABLE patients (
  id           BIGINT       NOT NULL AUTO_INCREMENT,
  first_name   VARCHAR(100) NOT NULL,
  last_name    VARCHAR(100) NOT NULL,
  email        VARCHAR(254) NULL,
  -- The address as it is compared: NFC and case folded by the application.
  -- Folding can lengthen a text, hence the width.
  email_key    VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  phone        VARCHAR(32)  NULL,
  phone_key    VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NULL, -- digits, last to first
  birth_date   DATE         NULL,
  version      BIGINT       NOT NULL DEFAULT 1,
  calendar_rev BIGINT       NOT NULL DEFAULT 0, -- the guard: every change of this patient's calendar writes it first
  created_at   DATETIME(6)  NOT NULL,
  updated_at   DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY patients_email_key (email_key),
  KEY patients_last_name (last_name, first_name),
  KEY patients_first_name (first_name, last_name),
  KEY patients_phone_key (phone_key),
  CONSTRAINT patients_names CHECK (CHAR_LENGTH(first_name) > 0 AND CHAR_LENGTH(last_name) > 0),
  CONSTRAINT patients_email CHECK ((email IS NULL) = (email_key IS NULL))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE doctors (
  id             BIGINT       NOT NULL AUTO_INCREMENT,
  full_name      VARCHAR(200) NOT NULL,
  specialization VARCHAR(100) NOT NULL,
  is_active      TINYINT(1)   NOT NULL DEFAULT 1,
  version        BIGINT       NOT NULL DEFAULT 1,
  calendar_rev   BIGINT       NOT NULL DEFAULT 0, -- the guard: every change of this doctor's calendar writes it first
  created_at     DATETIME(6)  NOT NULL,
  updated_at     DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY doctors_full_name (full_name),
  KEY doctors_specialization (specialization, full_name),
  CONSTRAINT doctors_names CHECK (CHAR_LENGTH(full_name) > 0 AND CHAR_LENGTH(specialization) > 0),
  CONSTRAINT doctors_is_active CHECK (is_active IN (0, 1))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE appointments (
  id                  BIGINT       NOT NULL AUTO_INCREMENT,
  patient_id          BIGINT       NOT NULL,
  doctor_id           BIGINT       NOT NULL,
  start_time          DATETIME(6)  NOT NULL,
  end_time            DATETIME(6)  NOT NULL, -- stored, so that an index can bound it
  duration_minutes    SMALLINT     NOT NULL,
  status              VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'scheduled',
  cancellation_reason VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  cancellation_note   VARCHAR(500) NULL,
  cancelled_at        DATETIME(6)  NULL,
  version             BIGINT       NOT NULL DEFAULT 1,
  created_at          DATETIME(6)  NOT NULL,
  updated_at          DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY appointments_doctor (doctor_id, start_time),
  KEY appointments_patient (patient_id, start_time),
  KEY appointments_start (start_time),
  CONSTRAINT appointments_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT,
  CONSTRAINT appointments_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE RESTRICT,
  CONSTRAINT appointments_duration CHECK (duration_minutes BETWEEN 15 AND 180),
  CONSTRAINT appointments_end CHECK (end_time = start_time + INTERVAL duration_minutes MINUTE),
  CONSTRAINT appointments_status CHECK (status IN ('scheduled', 'confirmed', 'checked_in', 'in_progress',
    'completed', 'cancelled', 'no_show', 'left_without_being_seen')),
  CONSTRAINT appointments_cancellation CHECK (
    (status = 'cancelled') = (cancellation_reason IS NOT NULL)
    AND (status = 'cancelled') = (cancelled_at IS NOT NULL)
    AND (status = 'cancelled' OR cancellation_note IS NULL)),
  CONSTRAINT appointments_reason CHECK (cancellation_reason IN ('patient_request', 'doctor_unavailable',
    'clinic_closed', 'rebooked', 'booked_in_error', 'other'))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE appointments;
DROP TABLE doctors;
DROP TABLE patients;
DROP TABLE installation;
