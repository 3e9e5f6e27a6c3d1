-- Further identifiers, merged records, and guards against registering somebody
-- twice at the same moment.

-- +goose Up
-- (Not "system": MySQL keeps that word for itself.)
-- A merged record stays, so that its id leads on; it has no e-mail address any more.
ALTER TABLE patients
  ADD COLUMN merged_into BIGINT NULL,
  ADD KEY patients_merged_into (merged_into),
  ADD CONSTRAINT patients_merged_into_exists FOREIGN KEY (merged_into) REFERENCES patients (id) ON DELETE RESTRICT;

CREATE TABLE patient_identifiers (
  id_system  VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  id_value   VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  patient_id BIGINT       NOT NULL,
  PRIMARY KEY (id_system, id_value),
  KEY patient_identifiers_patient (patient_id),
  CONSTRAINT patient_identifiers_patient_exists FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Whoever registers a patient writes the row of the name first: two who register
-- the same person wait for each other. A few thousand rows for all names there are.
CREATE TABLE patient_name_guards (
  bucket SMALLINT NOT NULL,
  rev    BIGINT   NOT NULL DEFAULT 1,
  PRIMARY KEY (bucket)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE patient_name_guards;
DROP TABLE patient_identifiers;
ALTER TABLE patients DROP FOREIGN KEY patients_merged_into_exists;
ALTER TABLE patients DROP KEY patients_merged_into, DROP COLUMN merged_into;
