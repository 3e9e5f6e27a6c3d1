-- The backstop: the database itself refuses to book a doctor or a patient
-- twice, whoever writes: an older version of MEMS, a repair script, a person
-- at a prompt, at any isolation level.
--
-- occupied_times mirrors the occupied time of every doctor and patient. The
-- triggers write the guard rows first (a write, not only a lock, so that
-- certification-based clusters conflict on it too), then look for an overlap
-- with a *locking* read: a plain read would look at the transaction's snapshot
-- and miss what was booked since. They look at the mirror because a trigger may
-- not lock rows of its own table. The order of locks is the application's:
-- doctor, patient, times.
--
-- The checks are BEFORE triggers because inserting a row takes shared locks on
-- both parents for the foreign keys; asking for exclusive ones only afterwards
-- would deadlock two raw writers.
--
-- Errors: 45001 doctor occupied, 45002 patient occupied (SQLSTATE 45000).
-- Needs the TRIGGER privilege and, where the binary log is on, SUPER or
-- log_bin_trust_function_creators = 1 for whoever migrates. Left out on TiDB,
-- which has no triggers.

-- +goose Up
CREATE TABLE occupied_times (
  party          VARCHAR(7)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  party_id       BIGINT      NOT NULL,
  start_time     DATETIME(6) NOT NULL,
  end_time       DATETIME(6) NOT NULL,
  appointment_id BIGINT      NOT NULL,
  PRIMARY KEY (party, party_id, start_time),
  KEY occupied_times_appointment (appointment_id),
  CONSTRAINT occupied_times_appointment_exists FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE,
  CONSTRAINT occupied_times_party CHECK (party IN ('doctor', 'patient')),
  CONSTRAINT occupied_times_order CHECK (start_time < end_time)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
SELECT 'doctor', doctor_id, start_time, end_time, id
FROM appointments
WHERE status NOT IN ('cancelled', 'no_show', 'left_without_being_seen');

INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
SELECT 'patient', patient_id, start_time, end_time, id
FROM appointments
WHERE status NOT IN ('cancelled', 'no_show', 'left_without_being_seen');

-- +goose StatementBegin
CREATE TRIGGER appointments_before_insert BEFORE INSERT ON appointments FOR EACH ROW
BEGIN
  DECLARE taken INT DEFAULT 0;
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
    UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = NEW.doctor_id;
    UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = NEW.patient_id;
    SELECT COUNT(*) INTO taken FROM occupied_times
    WHERE party = 'doctor' AND party_id = NEW.doctor_id
      AND start_time > NEW.start_time - INTERVAL 180 MINUTE AND start_time < NEW.end_time
      AND end_time > NEW.start_time
    FOR UPDATE;
    IF taken > 0 THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45001, MESSAGE_TEXT = 'the doctor is occupied in this time';
    END IF;
    SELECT COUNT(*) INTO taken FROM occupied_times
    WHERE party = 'patient' AND party_id = NEW.patient_id
      AND start_time > NEW.start_time - INTERVAL 180 MINUTE AND start_time < NEW.end_time
      AND end_time > NEW.start_time
    FOR UPDATE;
    IF taken > 0 THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45002, MESSAGE_TEXT = 'the patient is occupied in this time';
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointments_after_insert AFTER INSERT ON appointments FOR EACH ROW
BEGIN
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
    INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
    VALUES ('doctor', NEW.doctor_id, NEW.start_time, NEW.end_time, NEW.id),
           ('patient', NEW.patient_id, NEW.start_time, NEW.end_time, NEW.id);
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointments_before_update BEFORE UPDATE ON appointments FOR EACH ROW
BEGIN
  DECLARE taken INT DEFAULT 0;
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
     AND (OLD.status IN ('cancelled', 'no_show', 'left_without_being_seen')
          OR OLD.doctor_id <> NEW.doctor_id OR OLD.patient_id <> NEW.patient_id
          OR OLD.start_time <> NEW.start_time OR OLD.end_time <> NEW.end_time) THEN
    UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = NEW.doctor_id;
    UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = NEW.patient_id;
    SELECT COUNT(*) INTO taken FROM occupied_times
    WHERE party = 'doctor' AND party_id = NEW.doctor_id AND appointment_id <> OLD.id
      AND start_time > NEW.start_time - INTERVAL 180 MINUTE AND start_time < NEW.end_time
      AND end_time > NEW.start_time
    FOR UPDATE;
    IF taken > 0 THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45001, MESSAGE_TEXT = 'the doctor is occupied in this time';
    END IF;
    SELECT COUNT(*) INTO taken FROM occupied_times
    WHERE party = 'patient' AND party_id = NEW.patient_id AND appointment_id <> OLD.id
      AND start_time > NEW.start_time - INTERVAL 180 MINUTE AND start_time < NEW.end_time
      AND end_time > NEW.start_time
    FOR UPDATE;
    IF taken > 0 THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45002, MESSAGE_TEXT = 'the patient is occupied in this time';
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointments_after_update AFTER UPDATE ON appointments FOR EACH ROW
BEGIN
  IF OLD.status <> NEW.status OR OLD.doctor_id <> NEW.doctor_id OR OLD.patient_id <> NEW.patient_id
     OR OLD.start_time <> NEW.start_time OR OLD.end_time <> NEW.end_time THEN
    DELETE FROM occupied_times WHERE appointment_id = OLD.id;
    IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
      INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
      VALUES ('doctor', NEW.doctor_id, NEW.start_time, NEW.end_time, NEW.id),
             ('patient', NEW.patient_id, NEW.start_time, NEW.end_time, NEW.id);
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER appointments_after_update;
DROP TRIGGER appointments_before_update;
DROP TRIGGER appointments_after_insert;
DROP TRIGGER appointments_before_insert;
DROP TABLE occupied_times;
