-- What the migrations make, as MariaDB 10.11 shows it. Generated: go test ./internal/database -run UpDownUp -update

CREATE TABLE `api_key_sealing` (
  `id` tinyint(4) NOT NULL,
  `started_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `api_keys` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(100) NOT NULL,
  `secret_hash` binary(32) NOT NULL,
  `role` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `scopes` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`scopes`)),
  `doctor_id` bigint(20) DEFAULT NULL,
  `created_by` varchar(200) NOT NULL,
  `created_at` datetime(6) NOT NULL,
  `expires_at` datetime(6) NOT NULL,
  `revoked_at` datetime(6) DEFAULT NULL,
  `last_used_at` datetime(6) DEFAULT NULL,
  `seal` binary(32) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `api_keys_doctor` (`doctor_id`),
  CONSTRAINT `api_keys_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `api_keys_role` CHECK (`role` in ('receptionist','doctor','manager','auditor','partner','admin')),
  CONSTRAINT `api_keys_doctor_role` CHECK (`role` = 'doctor' = (`doctor_id` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `appointment_event_overrides` (
  `appointment_id` bigint(20) NOT NULL,
  `version` bigint(20) NOT NULL,
  `doctor_overbooked` tinyint(1) NOT NULL,
  `patient_overbooked` tinyint(1) NOT NULL,
  `outside_hours` tinyint(1) NOT NULL,
  `reason` varchar(500) NOT NULL,
  PRIMARY KEY (`appointment_id`,`version`),
  CONSTRAINT `appointment_event_overrides_of` FOREIGN KEY (`appointment_id`, `version`) REFERENCES `appointment_events` (`appointment_id`, `version`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `appointment_events` (
  `appointment_id` bigint(20) NOT NULL,
  `version` bigint(20) NOT NULL,
  `at` datetime(6) NOT NULL,
  `action` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `actor` varchar(200) DEFAULT NULL,
  `from_status` varchar(30) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `to_status` varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reason` varchar(30) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `note` varchar(500) DEFAULT NULL,
  `start_time` datetime(6) NOT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `doctor_id` bigint(20) NOT NULL,
  `patient_id` bigint(20) NOT NULL,
  `room_id` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`appointment_id`,`version`),
  CONSTRAINT `appointment_events_of` FOREIGN KEY (`appointment_id`) REFERENCES `appointments` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `appointment_series` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `rule` varchar(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `time_zone` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `patient_id` bigint(20) NOT NULL,
  `doctor_id` bigint(20) NOT NULL,
  `start_time` datetime(6) NOT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  `made_by_key` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `appointment_series_patient` (`patient_id`),
  KEY `appointment_series_doctor` (`doctor_id`),
  KEY `appointment_series_made_by` (`made_by_key`),
  CONSTRAINT `appointment_series_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`),
  CONSTRAINT `appointment_series_made_by` FOREIGN KEY (`made_by_key`) REFERENCES `api_keys` (`id`),
  CONSTRAINT `appointment_series_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`),
  CONSTRAINT `appointment_series_duration` CHECK (`duration_minutes` between 15 and 180)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `appointment_types` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(100) NOT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `buffer_before_minutes` smallint(6) NOT NULL DEFAULT 0,
  `buffer_after_minutes` smallint(6) NOT NULL DEFAULT 0,
  `colour` varchar(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `specializations` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`specializations`)),
  `doctor_ids` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`doctor_ids`)),
  `needs_room` tinyint(1) NOT NULL DEFAULT 0,
  `room_ids` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`room_ids`)),
  `is_active` tinyint(1) NOT NULL DEFAULT 1,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `appointment_types_name` (`name`),
  CONSTRAINT `appointment_types_name_given` CHECK (char_length(`name`) > 0),
  CONSTRAINT `appointment_types_duration` CHECK (`duration_minutes` between 15 and 180),
  CONSTRAINT `appointment_types_buffers` CHECK (`buffer_before_minutes` between 0 and 60 and `buffer_after_minutes` between 0 and 60),
  CONSTRAINT `appointment_types_flags` CHECK (`needs_room` in (0,1) and `is_active` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `appointments` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `patient_id` bigint(20) NOT NULL,
  `doctor_id` bigint(20) NOT NULL,
  `type_id` bigint(20) DEFAULT NULL,
  `room_id` bigint(20) DEFAULT NULL,
  `series_id` bigint(20) DEFAULT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `buffer_before_minutes` smallint(6) NOT NULL DEFAULT 0,
  `buffer_after_minutes` smallint(6) NOT NULL DEFAULT 0,
  `status` varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'scheduled',
  `cancellation_reason` varchar(30) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `cancellation_note` varchar(500) DEFAULT NULL,
  `cancelled_at` datetime(6) DEFAULT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  `doctor_overbooked` tinyint(1) NOT NULL DEFAULT 0,
  `patient_overbooked` tinyint(1) NOT NULL DEFAULT 0,
  `outside_hours` tinyint(1) NOT NULL DEFAULT 0,
  `override_reason` varchar(500) DEFAULT NULL,
  `made_by_key` bigint(20) DEFAULT NULL,
  `reason` varchar(200) DEFAULT NULL,
  `note` varchar(500) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `appointments_doctor` (`doctor_id`,`start_time`),
  KEY `appointments_patient` (`patient_id`,`start_time`),
  KEY `appointments_start` (`start_time`),
  KEY `appointments_room` (`room_id`,`start_time`),
  KEY `appointments_type` (`type_id`),
  KEY `appointments_series` (`series_id`,`start_time`),
  KEY `appointments_made_by` (`made_by_key`),
  CONSTRAINT `appointments_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`),
  CONSTRAINT `appointments_made_by` FOREIGN KEY (`made_by_key`) REFERENCES `api_keys` (`id`),
  CONSTRAINT `appointments_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`),
  CONSTRAINT `appointments_room_exists` FOREIGN KEY (`room_id`) REFERENCES `rooms` (`id`),
  CONSTRAINT `appointments_series_exists` FOREIGN KEY (`series_id`) REFERENCES `appointment_series` (`id`),
  CONSTRAINT `appointments_type_exists` FOREIGN KEY (`type_id`) REFERENCES `appointment_types` (`id`),
  CONSTRAINT `appointments_duration` CHECK (`duration_minutes` between 15 and 180),
  CONSTRAINT `appointments_end` CHECK (`end_time` = `start_time` + interval `duration_minutes` minute),
  CONSTRAINT `appointments_status` CHECK (`status` in ('scheduled','confirmed','checked_in','in_progress','completed','cancelled','no_show','left_without_being_seen')),
  CONSTRAINT `appointments_cancellation` CHECK (`status` = 'cancelled' = (`cancellation_reason` is not null) and `status` = 'cancelled' = (`cancelled_at` is not null) and (`status` = 'cancelled' or `cancellation_note` is null)),
  CONSTRAINT `appointments_reason` CHECK (`cancellation_reason` in ('patient_request','doctor_unavailable','clinic_closed','rebooked','booked_in_error','other')),
  CONSTRAINT `appointments_buffers` CHECK (`buffer_before_minutes` between 0 and 60 and `buffer_after_minutes` between 0 and 60),
  CONSTRAINT `appointments_override` CHECK (`doctor_overbooked` in (0,1) and `patient_overbooked` in (0,1) and `outside_hours` in (0,1) and (`doctor_overbooked` + `patient_overbooked` + `outside_hours` = 0 or `override_reason` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `audit_chains` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `started_at` datetime(6) NOT NULL,
  `hash` binary(32) NOT NULL,
  `sealed_seq` bigint(20) NOT NULL DEFAULT 0,
  `sealed_hash` binary(32) NOT NULL,
  `pruned_seq` bigint(20) NOT NULL DEFAULT 0,
  `pruned_hash` binary(32) DEFAULT NULL,
  `seal_seq` bigint(20) DEFAULT NULL,
  `seal` binary(32) DEFAULT NULL,
  `seal_key` binary(4) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `audit_entries` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `chain` bigint(20) NOT NULL,
  `seq` bigint(20) NOT NULL,
  `at` datetime(6) NOT NULL,
  `subject` varchar(200) NOT NULL,
  `address` varchar(45) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(100) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `operation` varchar(60) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `action` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `object` varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `object_id` bigint(20) DEFAULT NULL,
  `patient_id` bigint(20) DEFAULT NULL,
  `patient_ids` mediumtext CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `details` mediumblob DEFAULT NULL,
  `secret` tinyint(1) NOT NULL DEFAULT 0,
  `mac_key` binary(4) DEFAULT NULL,
  `hash` binary(32) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `audit_entries_chain` (`chain`,`seq`),
  KEY `audit_entries_patient` (`patient_id`,`id`),
  KEY `audit_entries_at` (`at`),
  KEY `audit_entries_subject` (`subject`,`id`),
  KEY `audit_entries_operation` (`operation`,`id`),
  CONSTRAINT `audit_entries_action` CHECK (`action` in ('create','read','update','delete')),
  CONSTRAINT `audit_entries_seq` CHECK (`seq` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `audit_index` (
  `id` tinyint(4) NOT NULL,
  `indexed_to` bigint(20) NOT NULL,
  `runs` bigint(20) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `audit_patients` (
  `patient_id` bigint(20) NOT NULL,
  `entry_id` bigint(20) NOT NULL,
  PRIMARY KEY (`patient_id`,`entry_id`),
  KEY `audit_patients_entry` (`entry_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `calendar_feeds` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `doctor_id` bigint(20) DEFAULT NULL,
  `name` varchar(100) NOT NULL,
  `secret_hash` binary(32) NOT NULL,
  `created_by` varchar(200) NOT NULL,
  `created_at` datetime(6) NOT NULL,
  `expires_at` datetime(6) DEFAULT NULL,
  `revoked_at` datetime(6) DEFAULT NULL,
  `last_used_at` datetime(6) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `calendar_feeds_doctor` (`doctor_id`),
  CONSTRAINT `calendar_feeds_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `calendar_feeds_name_given` CHECK (char_length(`name`) > 0),
  CONSTRAINT `calendar_feeds_expiry` CHECK (`expires_at` > `created_at`),
  CONSTRAINT `calendar_feeds_revoked` CHECK (`revoked_at` >= `created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `change_head` (
  `id` int(11) NOT NULL,
  `position` bigint(20) NOT NULL,
  `turns` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `change_head_one` CHECK (`id` = 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `changes` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `position` bigint(20) DEFAULT NULL,
  `at` datetime(6) NOT NULL,
  `type` varchar(60) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `object` varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `object_id` bigint(20) NOT NULL,
  `doctor_id` bigint(20) DEFAULT NULL,
  `left_doctor` bigint(20) DEFAULT NULL,
  `made_by_key` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `changes_position` (`position`),
  KEY `changes_object` (`object`,`object_id`,`id`),
  KEY `changes_age` (`at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `clinic_zone` (
  `id` tinyint(4) NOT NULL,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `clinic_zone_one_row` CHECK (`id` = 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `closures` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `name` varchar(200) NOT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `closures_end` (`end_time`),
  CONSTRAINT `closures_order` CHECK (`start_time` < `end_time`),
  CONSTRAINT `closures_name` CHECK (char_length(`name`) > 0)
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
  `hours_time_zone` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `hours_version` bigint(20) NOT NULL DEFAULT 1,
  `overbook_cap` smallint(6) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `doctors_full_name` (`full_name`),
  KEY `doctors_specialization` (`specialization`,`full_name`),
  CONSTRAINT `doctors_names` CHECK (char_length(`full_name`) > 0 and char_length(`specialization`) > 0),
  CONSTRAINT `doctors_is_active` CHECK (`is_active` in (0,1)),
  CONSTRAINT `doctors_overbook_cap` CHECK (`overbook_cap` between 0 and 10)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `freed_times` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `doctor_id` bigint(20) DEFAULT NULL,
  `waitlist_id` bigint(20) DEFAULT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `due_at` datetime(6) NOT NULL,
  `after_entry` bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `freed_times_due` (`due_at`,`id`),
  KEY `freed_times_doctor` (`doctor_id`),
  KEY `freed_times_waitlist` (`waitlist_id`),
  CONSTRAINT `freed_times_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `freed_times_waitlist_exists` FOREIGN KEY (`waitlist_id`) REFERENCES `waitlist` (`id`) ON DELETE CASCADE,
  CONSTRAINT `freed_times_order` CHECK (`start_time` < `end_time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `holds` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `token` varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `doctor_id` bigint(20) NOT NULL,
  `patient_id` bigint(20) DEFAULT NULL,
  `type_id` bigint(20) DEFAULT NULL,
  `room_id` bigint(20) DEFAULT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `buffer_before_minutes` smallint(6) NOT NULL DEFAULT 0,
  `buffer_after_minutes` smallint(6) NOT NULL DEFAULT 0,
  `expires_at` datetime(6) NOT NULL,
  `created_at` datetime(6) NOT NULL,
  `made_by_key` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `holds_token` (`token`),
  KEY `holds_doctor` (`doctor_id`,`start_time`),
  KEY `holds_room` (`room_id`,`start_time`),
  KEY `holds_patient` (`patient_id`),
  KEY `holds_type` (`type_id`),
  KEY `holds_expiry` (`expires_at`),
  KEY `holds_made_by` (`made_by_key`),
  CONSTRAINT `holds_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `holds_made_by` FOREIGN KEY (`made_by_key`) REFERENCES `api_keys` (`id`),
  CONSTRAINT `holds_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`) ON DELETE CASCADE,
  CONSTRAINT `holds_room_exists` FOREIGN KEY (`room_id`) REFERENCES `rooms` (`id`) ON DELETE CASCADE,
  CONSTRAINT `holds_type_exists` FOREIGN KEY (`type_id`) REFERENCES `appointment_types` (`id`) ON DELETE CASCADE,
  CONSTRAINT `holds_end` CHECK (`end_time` = `start_time` + interval `duration_minutes` minute),
  CONSTRAINT `holds_duration` CHECK (`duration_minutes` between 15 and 180),
  CONSTRAINT `holds_buffers` CHECK (`buffer_before_minutes` between 0 and 60 and `buffer_after_minutes` between 0 and 60)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `caller` varchar(200) NOT NULL,
  `id_key` binary(32) NOT NULL,
  `request` binary(32) NOT NULL,
  `answer` mediumblob DEFAULT NULL,
  `refused` tinyint(1) NOT NULL DEFAULT 0,
  `patient_id` bigint(20) DEFAULT NULL,
  `created_at` datetime(6) NOT NULL,
  PRIMARY KEY (`caller`,`id_key`),
  KEY `idempotency_keys_age` (`created_at`),
  KEY `idempotency_keys_patient` (`patient_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `installation` (
  `id` tinyint(4) NOT NULL,
  `disposable` tinyint(1) NOT NULL DEFAULT 0,
  `calendar_uid` char(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `data_id` char(32) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
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
  PRIMARY KEY (`party`,`party_id`,`start_time`,`appointment_id`),
  KEY `occupied_times_appointment` (`appointment_id`),
  CONSTRAINT `occupied_times_appointment_exists` FOREIGN KEY (`appointment_id`) REFERENCES `appointments` (`id`) ON DELETE CASCADE,
  CONSTRAINT `occupied_times_party` CHECK (`party` in ('doctor','patient','room')),
  CONSTRAINT `occupied_times_order` CHECK (`start_time` < `end_time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `patient_identifiers` (
  `id_system` varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `id_value` varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `patient_id` bigint(20) NOT NULL,
  PRIMARY KEY (`id_system`,`id_value`),
  KEY `patient_identifiers_patient` (`patient_id`),
  CONSTRAINT `patient_identifiers_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `patient_name_guards` (
  `bucket` smallint(6) NOT NULL,
  `rev` bigint(20) NOT NULL DEFAULT 1,
  PRIMARY KEY (`bucket`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `patient_names` (
  `patient_id` bigint(20) NOT NULL,
  `name_key` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `family` tinyint(1) NOT NULL,
  PRIMARY KEY (`patient_id`,`name_key`),
  KEY `patient_names_key` (`name_key`,`patient_id`),
  CONSTRAINT `patient_names_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `patient_secrets` (
  `patient_id` bigint(20) NOT NULL,
  `secret` binary(32) NOT NULL,
  PRIMARY KEY (`patient_id`)
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
  `merged_into` bigint(20) DEFAULT NULL,
  `made_by_key` bigint(20) DEFAULT NULL,
  `erased_at` datetime(6) DEFAULT NULL,
  `keys_of` bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE KEY `patients_email_key` (`email_key`),
  KEY `patients_last_name` (`last_name`,`first_name`),
  KEY `patients_first_name` (`first_name`,`last_name`),
  KEY `patients_phone_key` (`phone_key`),
  KEY `patients_merged_into` (`merged_into`),
  KEY `patients_made_by` (`made_by_key`),
  KEY `patients_birth_date` (`birth_date`),
  CONSTRAINT `patients_made_by` FOREIGN KEY (`made_by_key`) REFERENCES `api_keys` (`id`),
  CONSTRAINT `patients_merged_into_exists` FOREIGN KEY (`merged_into`) REFERENCES `patients` (`id`),
  CONSTRAINT `patients_names` CHECK (char_length(`first_name`) > 0 and char_length(`last_name`) > 0),
  CONSTRAINT `patients_email` CHECK (`email` is null = (`email_key` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `plan_items` (
  `plan_id` bigint(20) NOT NULL,
  `appointment_id` bigint(20) NOT NULL,
  `appointment_version` bigint(20) NOT NULL,
  `start_time` datetime(6) DEFAULT NULL,
  `doctor_id` bigint(20) DEFAULT NULL,
  `room_id` bigint(20) DEFAULT NULL,
  `moved` tinyint(1) NOT NULL DEFAULT 0,
  PRIMARY KEY (`plan_id`,`appointment_id`),
  KEY `plan_items_appointment` (`appointment_id`),
  CONSTRAINT `plan_items_appointment_exists` FOREIGN KEY (`appointment_id`) REFERENCES `appointments` (`id`) ON DELETE CASCADE,
  CONSTRAINT `plan_items_of` FOREIGN KEY (`plan_id`) REFERENCES `plans` (`id`) ON DELETE CASCADE,
  CONSTRAINT `plan_items_proposal` CHECK (`start_time` is null = (`doctor_id` is null)),
  CONSTRAINT `plan_items_moved` CHECK (`moved` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `plans` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `doctor_id` bigint(20) NOT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `plans_doctor` (`doctor_id`),
  CONSTRAINT `plans_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `plans_order` CHECK (`start_time` < `end_time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `rooms` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(100) NOT NULL,
  `is_active` tinyint(1) NOT NULL DEFAULT 1,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `calendar_rev` bigint(20) NOT NULL DEFAULT 0,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `rooms_name` (`name`),
  CONSTRAINT `rooms_name_given` CHECK (char_length(`name`) > 0),
  CONSTRAINT `rooms_is_active` CHECK (`is_active` in (0,1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `tickets` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `doctor_id` bigint(20) NOT NULL,
  `day` date NOT NULL,
  `number` int(11) NOT NULL,
  `patient_id` bigint(20) NOT NULL,
  `appointment_id` bigint(20) DEFAULT NULL,
  `status` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `note` varchar(500) DEFAULT NULL,
  `transferred_to` bigint(20) DEFAULT NULL,
  `called_at` datetime(6) DEFAULT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `tickets_number` (`doctor_id`,`day`,`number`),
  KEY `tickets_patient` (`patient_id`,`day`),
  KEY `tickets_appointment` (`appointment_id`),
  KEY `tickets_transferred` (`transferred_to`),
  KEY `tickets_open` (`doctor_id`,`status`,`day`,`number`),
  CONSTRAINT `tickets_appointment_exists` FOREIGN KEY (`appointment_id`) REFERENCES `appointments` (`id`) ON DELETE CASCADE,
  CONSTRAINT `tickets_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`),
  CONSTRAINT `tickets_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`),
  CONSTRAINT `tickets_transferred_to` FOREIGN KEY (`transferred_to`) REFERENCES `tickets` (`id`) ON DELETE SET NULL,
  CONSTRAINT `tickets_positive` CHECK (`number` > 0),
  CONSTRAINT `tickets_status` CHECK (`status` in ('waiting','called','in_progress','done','left','transferred','withdrawn'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `time_off` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `doctor_id` bigint(20) NOT NULL,
  `start_time` datetime(6) NOT NULL,
  `end_time` datetime(6) NOT NULL,
  `reason` varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `note` varchar(500) DEFAULT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `time_off_doctor` (`doctor_id`,`end_time`),
  CONSTRAINT `time_off_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `time_off_order` CHECK (`start_time` < `end_time`),
  CONSTRAINT `time_off_reason` CHECK (`reason` in ('vacation','illness','training','meeting','other'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `waitlist` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `patient_id` bigint(20) NOT NULL,
  `doctor_ids` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`doctor_ids`)),
  `specialization` varchar(100) DEFAULT NULL,
  `type_id` bigint(20) DEFAULT NULL,
  `duration_minutes` smallint(6) NOT NULL,
  `from_time` datetime(6) NOT NULL,
  `to_time` datetime(6) NOT NULL,
  `note` varchar(500) DEFAULT NULL,
  `status` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `offer_id` bigint(20) DEFAULT NULL,
  `offered_doctor` bigint(20) DEFAULT NULL,
  `offered_start` datetime(6) DEFAULT NULL,
  `offer_expires_at` datetime(6) DEFAULT NULL,
  `missed_offers` int(11) NOT NULL DEFAULT 0,
  `appointment_id` bigint(20) DEFAULT NULL,
  `version` bigint(20) NOT NULL DEFAULT 1,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  `made_by_key` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `waitlist_open` (`status`,`id`),
  KEY `waitlist_offers` (`status`,`offer_expires_at`),
  KEY `waitlist_patient` (`patient_id`,`id`),
  KEY `waitlist_type` (`type_id`),
  KEY `waitlist_appointment` (`appointment_id`),
  KEY `waitlist_made_by` (`made_by_key`),
  CONSTRAINT `waitlist_appointment_exists` FOREIGN KEY (`appointment_id`) REFERENCES `appointments` (`id`) ON DELETE SET NULL,
  CONSTRAINT `waitlist_made_by` FOREIGN KEY (`made_by_key`) REFERENCES `api_keys` (`id`),
  CONSTRAINT `waitlist_patient_exists` FOREIGN KEY (`patient_id`) REFERENCES `patients` (`id`) ON DELETE CASCADE,
  CONSTRAINT `waitlist_type_exists` FOREIGN KEY (`type_id`) REFERENCES `appointment_types` (`id`) ON DELETE CASCADE,
  CONSTRAINT `waitlist_order` CHECK (`from_time` < `to_time`),
  CONSTRAINT `waitlist_duration` CHECK (`duration_minutes` between 15 and 180),
  CONSTRAINT `waitlist_status` CHECK (`status` in ('waiting','offered','booked','withdrawn','expired')),
  CONSTRAINT `waitlist_offer` CHECK (`status` = 'offered' = (`offer_id` is not null) and `offer_id` is null = (`offered_doctor` is null) and `offer_id` is null = (`offered_start` is null) and `offer_id` is null = (`offer_expires_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `waitlist_missed` (
  `waitlist_id` bigint(20) NOT NULL,
  `doctor_id` bigint(20) NOT NULL,
  `start_time` datetime(6) NOT NULL,
  PRIMARY KEY (`waitlist_id`,`doctor_id`,`start_time`),
  CONSTRAINT `waitlist_missed_of` FOREIGN KEY (`waitlist_id`) REFERENCES `waitlist` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `webhook_deliveries` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `webhook_id` bigint(20) NOT NULL,
  `position` bigint(20) DEFAULT NULL,
  `at` datetime(6) NOT NULL,
  `type` varchar(60) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `object` varchar(40) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `object_id` bigint(20) DEFAULT NULL,
  `doctor_id` bigint(20) DEFAULT NULL,
  `status` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `resent` tinyint(1) NOT NULL DEFAULT 0,
  `attempts` int(11) NOT NULL DEFAULT 0,
  `since` datetime(6) NOT NULL,
  `next_at` datetime(6) DEFAULT NULL,
  `last_at` datetime(6) DEFAULT NULL,
  `last_status` int(11) DEFAULT NULL,
  `last_error` varchar(200) DEFAULT NULL,
  `created_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `webhook_deliveries_due` (`webhook_id`,`status`,`next_at`),
  KEY `webhook_deliveries_order` (`webhook_id`,`object`,`object_id`,`status`,`id`),
  KEY `webhook_deliveries_age` (`last_at`),
  CONSTRAINT `webhook_deliveries_webhook` FOREIGN KEY (`webhook_id`) REFERENCES `webhooks` (`id`) ON DELETE CASCADE,
  CONSTRAINT `webhook_deliveries_status` CHECK (`status` in ('pending','delivered','dead')),
  CONSTRAINT `webhook_deliveries_next` CHECK (`status` = 'pending' = (`next_at` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `webhooks` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `url` varchar(500) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `description` varchar(200) DEFAULT NULL,
  `types` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL CHECK (json_valid(`types`)),
  `enabled` tinyint(1) NOT NULL DEFAULT 1,
  `disabled_reason` varchar(200) DEFAULT NULL,
  `secret` binary(32) NOT NULL,
  `old_secret` binary(32) DEFAULT NULL,
  `old_until` datetime(6) DEFAULT NULL,
  `created_by` varchar(200) NOT NULL,
  `version` bigint(20) NOT NULL,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `webhooks_old_secret` CHECK (`old_secret` is null = (`old_until` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `working_hours` (
  `doctor_id` bigint(20) NOT NULL,
  `weekday` tinyint(4) NOT NULL,
  `valid_from` date NOT NULL,
  `start_minute` smallint(6) NOT NULL,
  `end_minute` smallint(6) NOT NULL,
  PRIMARY KEY (`doctor_id`,`weekday`,`valid_from`,`start_minute`),
  CONSTRAINT `working_hours_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE,
  CONSTRAINT `working_hours_weekday` CHECK (`weekday` between 0 and 7),
  CONSTRAINT `working_hours_minutes` CHECK (`start_minute` = 0 and `end_minute` = 0 or `start_minute` >= 0 and `start_minute` < `end_minute` and `end_minute` <= 1440)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TRIGGER api_keys_before_update BEFORE UPDATE ON api_keys FOR EACH ROW
BEGIN
  IF OLD.revoked_at IS NOT NULL AND NOT (NEW.revoked_at <=> OLD.revoked_at) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45004, MESSAGE_TEXT = 'a revoked key stays revoked';
  END IF;
END;

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
END;

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
END;

CREATE TRIGGER appointments_before_change BEFORE UPDATE ON appointments FOR EACH ROW
BEGIN
  DECLARE taken INT DEFAULT 0;
  DECLARE allowed INT DEFAULT 0;
  DECLARE moved BOOLEAN DEFAULT OLD.status IN ('cancelled', 'no_show', 'left_without_being_seen')
    OR OLD.start_time <> NEW.start_time OR OLD.end_time <> NEW.end_time;
  DECLARE stretched BOOLEAN DEFAULT moved
    OR OLD.buffer_before_minutes <> NEW.buffer_before_minutes OR OLD.buffer_after_minutes <> NEW.buffer_after_minutes;
  DECLARE of_doctor BOOLEAN DEFAULT stretched OR OLD.doctor_id <> NEW.doctor_id OR OLD.doctor_overbooked > NEW.doctor_overbooked;
  DECLARE of_patient BOOLEAN DEFAULT moved OR OLD.patient_id <> NEW.patient_id OR OLD.patient_overbooked > NEW.patient_overbooked;
  DECLARE of_room BOOLEAN DEFAULT NEW.room_id IS NOT NULL AND (stretched OR NOT (OLD.room_id <=> NEW.room_id));
  IF NEW.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen') AND (of_doctor OR of_patient OR of_room) THEN
    UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = NEW.doctor_id;
    UPDATE patients SET calendar_rev = calendar_rev + 1 WHERE id = NEW.patient_id;
    IF NEW.room_id IS NOT NULL THEN
      UPDATE rooms SET calendar_rev = calendar_rev + 1 WHERE id = NEW.room_id;
    END IF;
    IF of_doctor THEN
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
    END IF;
    IF of_patient AND NEW.patient_overbooked = 0 THEN
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
    IF of_room THEN
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
END;

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
END;

CREATE TRIGGER appointment_events_before_update BEFORE UPDATE ON appointment_events FOR EACH ROW
BEGIN
  IF NEW.note IS NOT NULL AND NOT (BINARY NEW.note <=> BINARY OLD.note) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45005, MESSAGE_TEXT = 'a note of the history can only be erased';
  END IF;
END;

CREATE TRIGGER appointment_event_overrides_before_update BEFORE UPDATE ON appointment_event_overrides FOR EACH ROW
BEGIN
  IF NEW.reason <> 'erased' AND NOT (BINARY NEW.reason = BINARY OLD.reason) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45005, MESSAGE_TEXT = 'a reason of the history can only be erased';
  END IF;
END;

CREATE TRIGGER calendar_feeds_before_update BEFORE UPDATE ON calendar_feeds FOR EACH ROW
BEGIN
  IF OLD.revoked_at IS NOT NULL AND NOT (NEW.revoked_at <=> OLD.revoked_at) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45004, MESSAGE_TEXT = 'a revoked feed stays revoked';
  END IF;
END;

