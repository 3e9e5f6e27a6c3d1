-- The keys by which patients are found by name, as clinic.NameKeys makes them, and
-- the version of each record that its keys are of: a program of before does not
-- write them, and what it leaves behind is found by that and made good.
--
-- "mems migrate" computes the keys of the rows that are there afterwards, in batches.

-- +goose Up
CREATE TABLE IF NOT EXISTS patient_names (
  patient_id BIGINT      NOT NULL,
  name_key   VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  family     TINYINT(1)  NOT NULL, -- 1: begins with a word of the last name
  PRIMARY KEY (patient_id, name_key),
  KEY patient_names_key (name_key, patient_id),
  CONSTRAINT patient_names_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
ALTER TABLE patients
  ADD COLUMN keys_of BIGINT NOT NULL DEFAULT 0,
  ADD KEY patients_birth_date (birth_date),
  ALGORITHM = INPLACE, LOCK = NONE;

-- +goose Down
ALTER TABLE patients DROP KEY patients_birth_date, DROP COLUMN keys_of;
DROP TABLE IF EXISTS patient_names;
