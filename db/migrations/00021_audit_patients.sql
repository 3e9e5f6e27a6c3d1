-- Whom the entries of the audit trail are about, one row for each patient, so that all
-- about one is found without reading the trail. It is made from the entries and can be
-- made again: the trail itself, and its hashes, do not depend on it.
--
-- "mems serve" writes it, a bounded portion at a time, for what is there already as for
-- what any version of the program adds (store.IndexAudit). Whoever reads takes the
-- entries after indexed_to from the trail, so answers are right before it has caught up.

-- +goose Up
CREATE TABLE IF NOT EXISTS audit_patients (
  patient_id BIGINT NOT NULL, -- no foreign key: it outlives the record
  entry_id   BIGINT NOT NULL,
  PRIMARY KEY (patient_id, entry_id),
  KEY audit_patients_entry (entry_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
CREATE TABLE IF NOT EXISTS audit_index (
  id         TINYINT NOT NULL,
  indexed_to BIGINT  NOT NULL, -- every entry up to this id has its rows in audit_patients
  runs       BIGINT  NOT NULL, -- written first, so that one process at a time goes on
  PRIMARY KEY (id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
INSERT IGNORE INTO audit_index (id, indexed_to, runs) VALUES (1, 0, 0);

-- +goose Down
DROP TABLE IF EXISTS audit_index;
DROP TABLE IF EXISTS audit_patients;
