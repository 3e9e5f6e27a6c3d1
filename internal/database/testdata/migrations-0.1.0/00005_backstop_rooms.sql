-- The backstop learns of rooms, of buffers and of what is overbooked on purpose.
--
-- As in 00002, but: a room is a party like the others (error 45003); doctor and
-- room are occupied for the buffers too; an appointment flagged doctor_overbooked
-- may overlap at most overbook_cap others of the doctor, so that there are never
-- more than overbook_cap + 1 at once; one flagged patient_overbooked is not held
-- against the patient's others. One that is not flagged may overlap none, flagged
-- or not. Everything else that 00002 says holds.
--
-- 360 minutes: the longest appointment with both of its buffers, and one more
-- buffer for the distance between its own start and the time looked at.

-- +goose Up
DROP TRIGGER appointments_after_update;
DROP TRIGGER appointments_before_update;
DROP TRIGGER appointments_after_insert;
DROP TRIGGER appointments_before_insert;
DROP TABLE occupied_times;

CREATE TABLE occupied_times (
  party          VARCHAR(7)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  party_id       BIGINT      NOT NULL,
  start_time     DATETIME(6) NOT NULL,
  end_time       DATETIME(6) NOT NULL,
  appointment_id BIGINT      NOT NULL,
  PRIMARY KEY (party, party_id, start_time, appointment_id),
  KEY occupied_times_appointment (appointment_id),
  CONSTRAINT occupied_times_appointment_exists FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE,
  CONSTRAINT occupied_times_party CHECK (party IN ('doctor', 'patient', 'room')),
  CONSTRAINT occupied_times_order CHECK (start_time < end_time)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
SELECT 'doctor', doctor_id, start_time - INTERVAL buffer_before_minutes MINUTE, end_time + INTERVAL buffer_after_minutes MINUTE, id
FROM appointments
WHERE status NOT IN ('cancelled', 'no_show', 'left_without_being_seen');

INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
SELECT 'patient', patient_id, start_time, end_time, id
FROM appointments
WHERE status NOT IN ('cancelled', 'no_show', 'left_without_being_seen');

INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
SELECT 'room', room_id, start_time - INTERVAL buffer_before_minutes MINUTE, end_time + INTERVAL buffer_after_minutes MINUTE, id
FROM appointments
WHERE status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') AND room_id IS NOT NULL;

-- +goose StatementBegin
CREATE TRIGGER appointments_before_insert BEFORE INSERT ON appointments FOR EACH ROW
BEGIN
  DECLARE taken INT DEFAULT 0;
  DECLARE allowed INT DEFAULT 0;
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
    UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = NEW.doctor_id;
    UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = NEW.patient_id;
    IF NEW.room_id IS NOT NULL THEN
      UPDATE rooms SET calendar_rev = calendar_rev + 1 WHERE id = NEW.room_id;
    END IF;
    IF NEW.doctor_overbooked = 1 THEN
      SELECT overbook_cap INTO allowed FROM doctors WHERE id = NEW.doctor_id FOR UPDATE;
    END IF;
    SELECT COUNT(*) INTO taken FROM occupied_times
    WHERE party = 'doctor' AND party_id = NEW.doctor_id
      AND start_time > NEW.start_time - INTERVAL 360 MINUTE
      AND start_time < NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE
      AND end_time > NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE
    FOR UPDATE;
    IF taken > allowed THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45001, MESSAGE_TEXT = 'the doctor is occupied in this time';
    END IF;
    IF NEW.patient_overbooked = 0 THEN
      SELECT COUNT(*) INTO taken FROM occupied_times
      WHERE party = 'patient' AND party_id = NEW.patient_id
        AND start_time > NEW.start_time - INTERVAL 180 MINUTE
        AND start_time < NEW.end_time
        AND end_time > NEW.start_time
      FOR UPDATE;
      IF taken > 0 THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45002, MESSAGE_TEXT = 'the patient is occupied in this time';
      END IF;
    END IF;
    IF NEW.room_id IS NOT NULL THEN
      SELECT COUNT(*) INTO taken FROM occupied_times
      WHERE party = 'room' AND party_id = NEW.room_id
        AND start_time > NEW.start_time - INTERVAL 360 MINUTE
        AND start_time < NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE
        AND end_time > NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE
      FOR UPDATE;
      IF taken > 0 THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45003, MESSAGE_TEXT = 'the room is occupied in this time';
      END IF;
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointments_after_insert AFTER INSERT ON appointments FOR EACH ROW
BEGIN
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
    INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
    VALUES ('doctor', NEW.doctor_id, NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE,
            NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE, NEW.id),
           ('patient', NEW.patient_id, NEW.start_time, NEW.end_time, NEW.id);
    IF NEW.room_id IS NOT NULL THEN
      INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
      VALUES ('room', NEW.room_id, NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE,
              NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE, NEW.id);
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointments_before_update BEFORE UPDATE ON appointments FOR EACH ROW
BEGIN
  DECLARE taken INT DEFAULT 0;
  DECLARE allowed INT DEFAULT 0;
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
     AND (OLD.status IN ('cancelled', 'no_show', 'left_without_being_seen')
          OR OLD.doctor_id <> NEW.doctor_id OR OLD.patient_id <> NEW.patient_id OR NOT (OLD.room_id <=> NEW.room_id)
          OR OLD.start_time <> NEW.start_time OR OLD.end_time <> NEW.end_time
          OR OLD.buffer_before_minutes <> NEW.buffer_before_minutes OR OLD.buffer_after_minutes <> NEW.buffer_after_minutes
          OR OLD.doctor_overbooked > NEW.doctor_overbooked OR OLD.patient_overbooked > NEW.patient_overbooked) THEN
    UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = NEW.doctor_id;
    UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = NEW.patient_id;
    IF NEW.room_id IS NOT NULL THEN
      UPDATE rooms SET calendar_rev = calendar_rev + 1 WHERE id = NEW.room_id;
    END IF;
    IF NEW.doctor_overbooked = 1 THEN
      SELECT overbook_cap INTO allowed FROM doctors WHERE id = NEW.doctor_id FOR UPDATE;
    END IF;
    SELECT COUNT(*) INTO taken FROM occupied_times
    WHERE party = 'doctor' AND party_id = NEW.doctor_id AND appointment_id <> OLD.id
      AND start_time > NEW.start_time - INTERVAL 360 MINUTE
      AND start_time < NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE
      AND end_time > NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE
    FOR UPDATE;
    IF taken > allowed THEN
      SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45001, MESSAGE_TEXT = 'the doctor is occupied in this time';
    END IF;
    IF NEW.patient_overbooked = 0 THEN
      SELECT COUNT(*) INTO taken FROM occupied_times
      WHERE party = 'patient' AND party_id = NEW.patient_id AND appointment_id <> OLD.id
        AND start_time > NEW.start_time - INTERVAL 180 MINUTE
        AND start_time < NEW.end_time
        AND end_time > NEW.start_time
      FOR UPDATE;
      IF taken > 0 THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45002, MESSAGE_TEXT = 'the patient is occupied in this time';
      END IF;
    END IF;
    IF NEW.room_id IS NOT NULL THEN
      SELECT COUNT(*) INTO taken FROM occupied_times
      WHERE party = 'room' AND party_id = NEW.room_id AND appointment_id <> OLD.id
        AND start_time > NEW.start_time - INTERVAL 360 MINUTE
        AND start_time < NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE
        AND end_time > NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE
      FOR UPDATE;
      IF taken > 0 THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45003, MESSAGE_TEXT = 'the room is occupied in this time';
      END IF;
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointments_after_update AFTER UPDATE ON appointments FOR EACH ROW
BEGIN
  IF OLD.status <> NEW.status
     OR OLD.doctor_id <> NEW.doctor_id OR OLD.patient_id <> NEW.patient_id OR NOT (OLD.room_id <=> NEW.room_id)
     OR OLD.start_time <> NEW.start_time OR OLD.end_time <> NEW.end_time
     OR OLD.buffer_before_minutes <> NEW.buffer_before_minutes OR OLD.buffer_after_minutes <> NEW.buffer_after_minutes THEN
    DELETE FROM occupied_times WHERE appointment_id = OLD.id;
    IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
      INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
      VALUES ('doctor', NEW.doctor_id, NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE,
              NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE, NEW.id),
             ('patient', NEW.patient_id, NEW.start_time, NEW.end_time, NEW.id);
      IF NEW.room_id IS NOT NULL THEN
        INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
        VALUES ('room', NEW.room_id, NEW.start_time - INTERVAL NEW.buffer_before_minutes MINUTE,
                NEW.end_time + INTERVAL NEW.buffer_after_minutes MINUTE, NEW.id);
      END IF;
    END IF;
  END IF;
END
-- +goose StatementEnd

-- +goose Down
-- Fails while two appointments of one doctor begin at once: 00002 cannot hold them.
DROP TRIGGER appointments_after_update;
DROP TRIGGER appointments_before_update;
DROP TRIGGER appointments_after_insert;
DROP TRIGGER appointments_before_insert;
DROP TABLE occupied_times;

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
