-- What was answered to requests with an Idempotency-Key, for 24 hours.

-- +goose Up
CREATE TABLE idempotency_keys (
  caller     VARCHAR(200) NOT NULL,
  id_key     BINARY(32)   NOT NULL, -- hash of the key
  request    BINARY(32)   NOT NULL, -- hash of what was asked for
  answer     MEDIUMBLOB   NULL,     -- what came of it, as JSON encrypted with the key; NULL while it is under way
  refused    TINYINT(1)   NOT NULL DEFAULT 0,
  patient_id BIGINT       NULL,     -- so that it goes when the patient is erased
  created_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (caller, id_key),
  KEY idempotency_keys_age (created_at),
  KEY idempotency_keys_patient (patient_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- +goose Down
DROP TABLE idempotency_keys;
