-- The audit trail: append-only chains of entries, each entry bound to the one
-- before it by a hash. A server process writes to chains of its own, one for each
-- transaction under way at once, so nobody waits for anybody: db/README.md.

-- +goose Up
CREATE TABLE audit_chains (
  id          BIGINT      NOT NULL AUTO_INCREMENT,
  started_at  DATETIME(6) NOT NULL,
  hash        BINARY(32)  NOT NULL, -- where the chain begins; bound to the chain started before
  sealed_seq  BIGINT      NOT NULL DEFAULT 0, -- the last entry when it was last looked at
  sealed_hash BINARY(32)  NOT NULL,
  pruned_seq  BIGINT      NOT NULL DEFAULT 0, -- entries up to here were kept long enough; an entry says so
  pruned_hash BINARY(32)  NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- The root: no entries; sealed_seq counts the chains, and starting one waits here.
INSERT INTO audit_chains (id, started_at, hash, sealed_seq, sealed_hash)
VALUES (1, '2026-01-01', REPEAT(CHAR(0), 32), 0, REPEAT(CHAR(0), 32));

CREATE TABLE audit_entries (
  id          BIGINT       NOT NULL AUTO_INCREMENT,
  chain       BIGINT       NOT NULL,
  seq         BIGINT       NOT NULL, -- 1, 2, 3 ... without a gap
  at          DATETIME(6)  NOT NULL,
  subject     VARCHAR(200) NOT NULL,
  address     VARCHAR(45)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  request_id  VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NULL,
  operation   VARCHAR(60)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  action      VARCHAR(10)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object      VARCHAR(40)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object_id   BIGINT       NULL,
  patient_id  BIGINT       NULL, -- whom it concerns; no foreign key: it outlives the record
  patient_ids MEDIUMTEXT   CHARACTER SET ascii COLLATE ascii_bin NULL, -- whom a list showed, as JSON
  details     MEDIUMBLOB   NULL, -- JSON: reason and changes
  secret      TINYINT(1)   NOT NULL DEFAULT 0, -- details are encrypted with the patient's key
  mac_key     BINARY(4)    NULL, -- which key the hash was made with; NULL: none
  hash        BINARY(32)   NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY audit_entries_chain (chain, seq),
  KEY audit_entries_patient (patient_id, id),
  KEY audit_entries_at (at),
  CONSTRAINT audit_entries_action CHECK (action IN ('create', 'read', 'update', 'delete')),
  CONSTRAINT audit_entries_seq CHECK (seq > 0)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- A patient's key to what the trail keeps of him in words. It goes when the
-- patient is erased; the entries stay, and stay in their chain.
CREATE TABLE patient_secrets (
  patient_id BIGINT     NOT NULL,
  secret     BINARY(32) NOT NULL,
  PRIMARY KEY (patient_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE patient_secrets;
DROP TABLE audit_entries;
DROP TABLE audit_chains;
