-- Who may do what: API keys, and which of them a record was made with, so that a
-- partner reaches what it made itself.

-- +goose Up
CREATE TABLE api_keys (
  id           BIGINT        NOT NULL AUTO_INCREMENT,
  name         VARCHAR(100)  NOT NULL,
  secret_hash  BINARY(32)    NOT NULL, -- SHA-256; the secret has 256 random bits
  role         VARCHAR(20)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scopes       JSON          NOT NULL,
  doctor_id    BIGINT        NULL,
  created_by   VARCHAR(200)  NOT NULL,
  created_at   DATETIME(6)   NOT NULL,
  expires_at   DATETIME(6)   NOT NULL,
  revoked_at   DATETIME(6)   NULL,
  last_used_at DATETIME(6)   NULL,
  PRIMARY KEY (id),
  KEY api_keys_doctor (doctor_id),
  CONSTRAINT api_keys_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT api_keys_role CHECK (role IN ('receptionist', 'doctor', 'manager', 'auditor', 'partner', 'admin')),
  CONSTRAINT api_keys_doctor_role CHECK ((role = 'doctor') = (doctor_id IS NOT NULL))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- NULL: made by somebody of the clinic.
ALTER TABLE patients ADD COLUMN made_by_key BIGINT NULL,
  ADD CONSTRAINT patients_made_by FOREIGN KEY (made_by_key) REFERENCES api_keys (id);
ALTER TABLE appointments ADD COLUMN made_by_key BIGINT NULL,
  ADD CONSTRAINT appointments_made_by FOREIGN KEY (made_by_key) REFERENCES api_keys (id);
ALTER TABLE appointment_series ADD COLUMN made_by_key BIGINT NULL,
  ADD CONSTRAINT appointment_series_made_by FOREIGN KEY (made_by_key) REFERENCES api_keys (id);
ALTER TABLE holds ADD COLUMN made_by_key BIGINT NULL,
  ADD CONSTRAINT holds_made_by FOREIGN KEY (made_by_key) REFERENCES api_keys (id);
ALTER TABLE waitlist ADD COLUMN made_by_key BIGINT NULL,
  ADD CONSTRAINT waitlist_made_by FOREIGN KEY (made_by_key) REFERENCES api_keys (id);
-- Subjects of an identity provider are longer than names of desks.
ALTER TABLE appointment_events MODIFY COLUMN actor VARCHAR(200) NULL;
ALTER TABLE patients ADD COLUMN erased_at DATETIME(6) NULL;

-- +goose Down
ALTER TABLE patients DROP COLUMN erased_at;
UPDATE appointment_events SET actor = LEFT(actor, 100) WHERE CHAR_LENGTH(actor) > 100;
ALTER TABLE appointment_events MODIFY COLUMN actor VARCHAR(100) NULL;
ALTER TABLE waitlist DROP FOREIGN KEY waitlist_made_by, DROP KEY waitlist_made_by, DROP COLUMN made_by_key;
ALTER TABLE holds DROP FOREIGN KEY holds_made_by, DROP KEY holds_made_by, DROP COLUMN made_by_key;
ALTER TABLE appointment_series DROP FOREIGN KEY appointment_series_made_by, DROP KEY appointment_series_made_by, DROP COLUMN made_by_key;
ALTER TABLE appointments DROP FOREIGN KEY appointments_made_by, DROP KEY appointments_made_by, DROP COLUMN made_by_key;
ALTER TABLE patients DROP FOREIGN KEY patients_made_by, DROP KEY patients_made_by, DROP COLUMN made_by_key;
DROP TABLE api_keys;
