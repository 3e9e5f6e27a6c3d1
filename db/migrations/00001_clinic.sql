-- The clinic: patients, doctors and their appointments.
--
-- Portable on purpose: MySQL 8.4 and later, MariaDB 10.11 and later, TiDB. All
-- DATETIME(6) are UTC, written by the application, never by NOW(). CHECK
-- constraints and foreign keys say the domain's rules again, for every writer.
-- Lengths, not comparison with '': to the collation a combining accent alone is ''.
--
-- What 00003 adds to doctors and appointments is here already: adding an enforced
-- CHECK later copies the table on MySQL, and bookings wait for that. 00003 passes over
-- what it finds.

-- +goose Up
CREATE TABLE IF NOT EXISTS installation (
  id         TINYINT    NOT NULL,
  disposable TINYINT(1) NOT NULL DEFAULT 0, -- 1: "mems reset" and "mems demo" may destroy or fill it
  PRIMARY KEY (id),
  CONSTRAINT installation_one_row CHECK (id = 1),
  CONSTRAINT installation_disposable CHECK (disposable IN (0, 1))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

INSERT IGNORE INTO installation (id, disposable) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS patients (
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

CREATE TABLE IF NOT EXISTS doctors (
  id             BIGINT       NOT NULL AUTO_INCREMENT,
  full_name      VARCHAR(200) NOT NULL,
  specialization VARCHAR(100) NOT NULL,
  is_active      TINYINT(1)   NOT NULL DEFAULT 1,
  version        BIGINT       NOT NULL DEFAULT 1,
  calendar_rev   BIGINT       NOT NULL DEFAULT 0, -- the guard: every change of this doctor's calendar writes it first
  created_at     DATETIME(6)  NOT NULL,
  updated_at     DATETIME(6)  NOT NULL,
  hours_time_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  hours_version  BIGINT       NOT NULL DEFAULT 1,
  overbook_cap   SMALLINT     NOT NULL DEFAULT 0, -- how many appointments a flagged one may overlap
  PRIMARY KEY (id),
  KEY doctors_full_name (full_name),
  KEY doctors_specialization (specialization, full_name),
  CONSTRAINT doctors_names CHECK (CHAR_LENGTH(full_name) > 0 AND CHAR_LENGTH(specialization) > 0),
  CONSTRAINT doctors_is_active CHECK (is_active IN (0, 1)),
  CONSTRAINT doctors_overbook_cap CHECK (overbook_cap BETWEEN 0 AND 10)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS appointments (
  id                  BIGINT       NOT NULL AUTO_INCREMENT,
  patient_id          BIGINT       NOT NULL,
  doctor_id           BIGINT       NOT NULL,
  type_id             BIGINT       NULL,
  room_id             BIGINT       NULL,
  start_time          DATETIME(6)  NOT NULL,
  end_time            DATETIME(6)  NOT NULL, -- stored, so that an index can bound it
  duration_minutes    SMALLINT     NOT NULL,
  buffer_before_minutes SMALLINT   NOT NULL DEFAULT 0,
  buffer_after_minutes SMALLINT    NOT NULL DEFAULT 0,
  status              VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'scheduled',
  cancellation_reason VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  cancellation_note   VARCHAR(500) NULL,
  cancelled_at        DATETIME(6)  NULL,
  version             BIGINT       NOT NULL DEFAULT 1,
  created_at          DATETIME(6)  NOT NULL,
  updated_at          DATETIME(6)  NOT NULL,
  doctor_overbooked   TINYINT(1)   NOT NULL DEFAULT 0,
  patient_overbooked  TINYINT(1)   NOT NULL DEFAULT 0,
  outside_hours       TINYINT(1)   NOT NULL DEFAULT 0,
  override_reason     VARCHAR(500) NULL,
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
    'clinic_closed', 'rebooked', 'booked_in_error', 'other')),
  CONSTRAINT appointments_buffers CHECK (buffer_before_minutes BETWEEN 0 AND 60 AND buffer_after_minutes BETWEEN 0 AND 60),
  CONSTRAINT appointments_override CHECK (
    doctor_overbooked IN (0, 1) AND patient_overbooked IN (0, 1) AND outside_hours IN (0, 1)
    AND (doctor_overbooked + patient_overbooked + outside_hours = 0 OR override_reason IS NOT NULL))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE IF EXISTS appointments;
DROP TABLE IF EXISTS doctors;
DROP TABLE IF EXISTS patients;
DROP TABLE IF EXISTS installation;
