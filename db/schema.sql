-- What the migrations make, as MariaDB 10.11 shows it. Generated: go test ./internal/store -run UpDownUp -update

CREATE TABLE `appointments` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `patient_id` bigint(20) NOT NULL,
  `doctor_id` bigint(20) NOT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `status` varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'scheduled',
  `cancellation_reason` varchar(30) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `cancellation_note` varchar(500) DEFAULT NULL,
  `cancelled_at` datetime(6) DEFAULT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `appointments_doctor` (`doctor_id`,`start_time`),
  KEY `appointments_patient` (`patient_id`,`start_time`),
  KEY `appointments_start` (`start_time`),
  CONSTRAINT `appointments_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`),
  CONSTRAINT `appointments_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`),
  CONSTRAINT `appointments_duration` CHECK (`duration_minutes` between 15 and 180),
  CONSTRAINT `appointments_end` CHECK (`end_time` = `start_time` + interval `duration_minutes` minute),
  CONSTRAINT `appointments_status` CHECK (`status` in ('scheduled','confirmed','checked_in','in_progress','completed','cancelled','no_show','left_without_being_seen')),
  CONSTRAINT `appointments_cancellation` CHECK (`status` = 'cancelled' = (`cancellation_reason` is not null) and `status` = 'cancelled' = (`cancelled_at` is not null) and (`status` = 'cancelled' or `cancellation_note` is null)),
  CONSTRAINT `appointments_reason` CHECK (`cancellation_reason` in ('patient_request','doctor_unavailable','clinic_closed','rebooked','booked_in_error','other'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `doctors` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `full_name` varchar(200) NOT NULL,
  `specialization` varchar(100) NOT NULL,
  `is_active` tinyint(1) NOT NULL DEFAULT 1,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `calendar_rev` bigint(20) NOT NULL DEFAULT 0,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `doctors_full_name` (`full_name`),
  KEY `doctors_specialization` (`specialization`,`full_name`),
  CONSTRAINT `doctors_names` CHECK (`full_name` <> '' and `specialization` <> ''),
  CONSTRAINT `doctors_is_active` CHECK (`is_active` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `installation` (
  `id` tinyint(4) NOT NULL,
  `disposable` tinyint(1) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  CONSTRAINT `installation_one_row` CHECK (`id` = 1),
  CONSTRAINT `installation_disposable` CHECK (`disposable` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `occupied_times` (
  `party` varchar(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `party_id` bigint(20) NOT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `appointment_id` bigint(20) NOT NULL,
  PRIMARY KEY (`party`,`party_id`,`start_time`),
  KEY `occupied_times_appointment` (`appointment_id`),
  CONSTRAINT `occupied_times_appointment_exists` FOREIGN KEY (`appointment_id`) REFERENCES `appointments` (`id`) ON DELETE CASCADE,
  CONSTRAINT `occupied_times_party` CHECK (`party` in ('doctor','patient')),
  CONSTRAINT `occupied_times_order` CHECK (`start_time` < `end_time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `patients` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `first_name` varchar(100) NOT NULL,
  `last_name` varchar(100) NOT NULL,
  `email` varchar(254) DEFAULT NULL,
  `email_key` varchar(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `phone` varchar(32) DEFAULT NULL,
  `phone_key` varchar(32) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `birth_date` date DEFAULT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `calendar_rev` bigint(20) NOT NULL DEFAULT 0,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `patients_email_key` (`email_key`),
  KEY `patients_last_name` (`last_name`,`first_name`),
  KEY `patients_first_name` (`first_name`,`last_name`),
  KEY `patients_phone_key` (`phone_key`),
  CONSTRAINT `patients_names` CHECK (`first_name` <> '' and `last_name` <> ''),
  CONSTRAINT `patients_email` CHECK (`email` is null = (`email_key` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TRIGGER appointments_after_insert AFTER INSERT ON appointments FOR EACH ROW
BEGIN
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') THEN
    INSERT INTO occupied_times (party, party_id, start_time, end_time, appointment_id)
    VALUES ('doctor', NEW.doctor_id, NEW.start_time, NEW.end_time, NEW.id),
           ('patient', NEW.patient_id, NEW.start_time, NEW.end_time, NEW.id);
  END IF;
END;

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
END;

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
END;

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
END;

