-- Calendars for calendar programs: the addresses under which they are read.

-- +goose Up
CREATE TABLE calendar_feeds (
  id           BIGINT       NOT NULL AUTO_INCREMENT,
  doctor_id    BIGINT       NULL, -- NULL: the whole clinic's
  name         VARCHAR(100) NOT NULL,
  secret_hash  BINARY(32)   NOT NULL, -- SHA-256; the secret has 256 random bits
  created_by   VARCHAR(200) NOT NULL,
  created_at   DATETIME(6)  NOT NULL,
  expires_at   DATETIME(6)  NULL, -- NULL: never
  revoked_at   DATETIME(6)  NULL,
  last_used_at DATETIME(6)  NULL, -- to the hour
  PRIMARY KEY (id),
  KEY calendar_feeds_doctor (doctor_id),
  CONSTRAINT calendar_feeds_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT calendar_feeds_name_given CHECK (CHAR_LENGTH(name) > 0),
  CONSTRAINT calendar_feeds_expiry CHECK (expires_at > created_at),
  CONSTRAINT calendar_feeds_revoked CHECK (revoked_at >= created_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- What makes the UIDs of this installation's events different from everybody else's,
-- whatever host serves them. Random: a UUID() would tell the server's network card.
ALTER TABLE installation ADD COLUMN calendar_uid CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
UPDATE installation SET calendar_uid = LOWER(HEX(RANDOM_BYTES(16)));

-- +goose Down
ALTER TABLE installation DROP COLUMN calendar_uid;
DROP TABLE calendar_feeds;
