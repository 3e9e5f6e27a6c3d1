-- A clinic's day: working hours, time off, closures, rooms, appointment types,
-- holds, and the history of each appointment.
--
-- Old programs can live with it: every new column has a default or may be null.

-- +goose Up
-- Without a time zone a doctor has no working hours and can be booked at any time.
ALTER TABLE doctors
  ADD COLUMN hours_time_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN hours_version   BIGINT      NOT NULL DEFAULT 1,
  ADD COLUMN overbook_cap    SMALLINT    NOT NULL DEFAULT 0, -- how many appointments a flagged one may overlap
  ADD CONSTRAINT doctors_overbook_cap CHECK (overbook_cap BETWEEN 0 AND 10);

-- Blocks of local wall time. weekday 1 (Monday) to 7: a block of the timetable
-- that holds from valid_from until the next one. weekday 0: a block of the single
-- date valid_from, instead of the timetable's. A timetable or a date without any
-- block is kept as one row from 0 to 0.
CREATE TABLE working_hours (
  doctor_id    BIGINT   NOT NULL,
  weekday      TINYINT  NOT NULL,
  valid_from   DATE     NOT NULL,
  start_minute SMALLINT NOT NULL, -- of the local day; 1440 is the next midnight
  end_minute   SMALLINT NOT NULL,
  PRIMARY KEY (doctor_id, weekday, valid_from, start_minute),
  CONSTRAINT working_hours_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT working_hours_weekday CHECK (weekday BETWEEN 0 AND 7),
  CONSTRAINT working_hours_minutes CHECK (
    (start_minute = 0 AND end_minute = 0) OR (start_minute >= 0 AND start_minute < end_minute AND end_minute <= 1440))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE time_off (
  id         BIGINT       NOT NULL AUTO_INCREMENT,
  doctor_id  BIGINT       NOT NULL,
  start_time DATETIME(6)  NOT NULL,
  end_time   DATETIME(6)  NOT NULL,
  reason     VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  note       VARCHAR(500) NULL,
  version    BIGINT       NOT NULL DEFAULT 1,
  created_at DATETIME(6)  NOT NULL,
  updated_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY time_off_doctor (doctor_id, end_time),
  CONSTRAINT time_off_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT time_off_order CHECK (start_time < end_time),
  CONSTRAINT time_off_reason CHECK (reason IN ('vacation', 'illness', 'training', 'meeting', 'other'))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE closures (
  id         BIGINT       NOT NULL AUTO_INCREMENT,
  start_time DATETIME(6)  NOT NULL,
  end_time   DATETIME(6)  NOT NULL,
  name       VARCHAR(200) NOT NULL,
  version    BIGINT       NOT NULL DEFAULT 1,
  created_at DATETIME(6)  NOT NULL,
  updated_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY closures_end (end_time),
  CONSTRAINT closures_order CHECK (start_time < end_time),
  CONSTRAINT closures_name CHECK (CHAR_LENGTH(name) > 0)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE rooms (
  id           BIGINT       NOT NULL AUTO_INCREMENT,
  name         VARCHAR(100) NOT NULL,
  is_active    TINYINT(1)   NOT NULL DEFAULT 1,
  version      BIGINT       NOT NULL DEFAULT 1,
  calendar_rev BIGINT       NOT NULL DEFAULT 0, -- the guard: every change of this room's calendar writes it first
  created_at   DATETIME(6)  NOT NULL,
  updated_at   DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY rooms_name (name),
  CONSTRAINT rooms_name_given CHECK (CHAR_LENGTH(name) > 0),
  CONSTRAINT rooms_is_active CHECK (is_active IN (0, 1))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- The lists are read and written with their type and never searched; hence JSON.
CREATE TABLE appointment_types (
  id                    BIGINT       NOT NULL AUTO_INCREMENT,
  name                  VARCHAR(100) NOT NULL,
  duration_minutes      SMALLINT     NOT NULL,
  buffer_before_minutes SMALLINT     NOT NULL DEFAULT 0,
  buffer_after_minutes  SMALLINT     NOT NULL DEFAULT 0,
  colour                VARCHAR(7)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  specializations       JSON         NOT NULL, -- who may be booked for it: these fields,
  doctor_ids            JSON         NOT NULL, -- and these doctors; both empty: everybody
  needs_room            TINYINT(1)   NOT NULL DEFAULT 0,
  room_ids              JSON         NOT NULL, -- where it may take place; empty: in any room
  is_active             TINYINT(1)   NOT NULL DEFAULT 1,
  version               BIGINT       NOT NULL DEFAULT 1,
  created_at            DATETIME(6)  NOT NULL,
  updated_at            DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY appointment_types_name (name),
  CONSTRAINT appointment_types_name_given CHECK (CHAR_LENGTH(name) > 0),
  CONSTRAINT appointment_types_duration CHECK (duration_minutes BETWEEN 15 AND 180),
  CONSTRAINT appointment_types_buffers CHECK (buffer_before_minutes BETWEEN 0 AND 60 AND buffer_after_minutes BETWEEN 0 AND 60),
  CONSTRAINT appointment_types_flags CHECK (needs_room IN (0, 1) AND is_active IN (0, 1))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Buffers occupy the doctor and the room, not the patient. The flags say which
-- rule was broken on purpose when the appointment was made; the backstop heeds
-- the first two.
ALTER TABLE appointments
  ADD COLUMN type_id               BIGINT       NULL AFTER doctor_id,
  ADD COLUMN room_id               BIGINT       NULL AFTER type_id,
  ADD COLUMN buffer_before_minutes SMALLINT     NOT NULL DEFAULT 0 AFTER duration_minutes,
  ADD COLUMN buffer_after_minutes  SMALLINT     NOT NULL DEFAULT 0 AFTER buffer_before_minutes,
  ADD COLUMN doctor_overbooked     TINYINT(1)   NOT NULL DEFAULT 0,
  ADD COLUMN patient_overbooked    TINYINT(1)   NOT NULL DEFAULT 0,
  ADD COLUMN outside_hours         TINYINT(1)   NOT NULL DEFAULT 0,
  ADD COLUMN override_reason       VARCHAR(500) NULL,
  ADD KEY appointments_room (room_id, start_time),
  ADD KEY appointments_type (type_id),
  ADD CONSTRAINT appointments_type_exists FOREIGN KEY (type_id) REFERENCES appointment_types (id) ON DELETE RESTRICT,
  ADD CONSTRAINT appointments_room_exists FOREIGN KEY (room_id) REFERENCES rooms (id) ON DELETE RESTRICT,
  ADD CONSTRAINT appointments_buffers CHECK (buffer_before_minutes BETWEEN 0 AND 60 AND buffer_after_minutes BETWEEN 0 AND 60),
  ADD CONSTRAINT appointments_override CHECK (
    doctor_overbooked IN (0, 1) AND patient_overbooked IN (0, 1) AND outside_hours IN (0, 1)
    AND (doctor_overbooked + patient_overbooked + outside_hours = 0 OR override_reason IS NOT NULL));

-- One row a change, with what the appointment was after it. The key is the
-- appointment's own version, so that no change can be left out or told twice.
CREATE TABLE appointment_events (
  appointment_id   BIGINT       NOT NULL,
  version          BIGINT       NOT NULL,
  at               DATETIME(6)  NOT NULL,
  action           VARCHAR(20)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  actor            VARCHAR(100) NULL,
  from_status      VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NULL, -- null: it did not exist
  to_status        VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason           VARCHAR(30)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  note             VARCHAR(500) NULL,
  start_time       DATETIME(6)  NOT NULL,
  duration_minutes SMALLINT     NOT NULL,
  doctor_id        BIGINT       NOT NULL,
  patient_id       BIGINT       NOT NULL,
  room_id          BIGINT       NULL,
  PRIMARY KEY (appointment_id, version),
  CONSTRAINT appointment_events_of FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Times kept for somebody who is about to book. A hold counts until expires_at,
-- by the reader's clock; nothing has to remove it in time.
CREATE TABLE holds (
  id                    BIGINT      NOT NULL AUTO_INCREMENT,
  token                 VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, -- whoever knows it may use the time
  doctor_id             BIGINT      NOT NULL,
  patient_id            BIGINT      NULL, -- only for this patient
  type_id               BIGINT      NULL,
  room_id               BIGINT      NULL,
  start_time            DATETIME(6) NOT NULL,
  end_time              DATETIME(6) NOT NULL,
  duration_minutes      SMALLINT    NOT NULL,
  buffer_before_minutes SMALLINT    NOT NULL DEFAULT 0,
  buffer_after_minutes  SMALLINT    NOT NULL DEFAULT 0,
  expires_at            DATETIME(6) NOT NULL,
  created_at            DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY holds_token (token),
  KEY holds_doctor (doctor_id, start_time),
  KEY holds_room (room_id, start_time),
  KEY holds_patient (patient_id),
  KEY holds_type (type_id),
  KEY holds_expiry (expires_at),
  CONSTRAINT holds_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT holds_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
  CONSTRAINT holds_type_exists FOREIGN KEY (type_id) REFERENCES appointment_types (id) ON DELETE CASCADE,
  CONSTRAINT holds_room_exists FOREIGN KEY (room_id) REFERENCES rooms (id) ON DELETE CASCADE,
  CONSTRAINT holds_end CHECK (end_time = start_time + INTERVAL duration_minutes MINUTE),
  CONSTRAINT holds_duration CHECK (duration_minutes BETWEEN 15 AND 180),
  CONSTRAINT holds_buffers CHECK (buffer_before_minutes BETWEEN 0 AND 60 AND buffer_after_minutes BETWEEN 0 AND 60)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE holds;
DROP TABLE appointment_events;
ALTER TABLE appointments
  DROP CONSTRAINT appointments_override,
  DROP CONSTRAINT appointments_buffers,
  DROP FOREIGN KEY appointments_room_exists,
  DROP FOREIGN KEY appointments_type_exists;
ALTER TABLE appointments
  DROP KEY appointments_room,
  DROP KEY appointments_type,
  DROP COLUMN type_id,
  DROP COLUMN room_id,
  DROP COLUMN buffer_before_minutes,
  DROP COLUMN buffer_after_minutes,
  DROP COLUMN doctor_overbooked,
  DROP COLUMN patient_overbooked,
  DROP COLUMN outside_hours,
  DROP COLUMN override_reason;
DROP TABLE appointment_types;
DROP TABLE rooms;
DROP TABLE closures;
DROP TABLE time_off;
DROP TABLE working_hours;
ALTER TABLE doctors DROP CONSTRAINT doctors_overbook_cap;
ALTER TABLE doctors
  DROP COLUMN hours_time_zone,
  DROP COLUMN hours_version,
  DROP COLUMN overbook_cap;
