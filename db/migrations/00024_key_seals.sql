-- The seal of an API key: an HMAC by a secret that the database does not have
-- (MEMS_AUDIT_KEYS) over what decides what the key may do, so that a row which the
-- database user who serves writes by itself opens nothing. NULL: not sealed. A program
-- before this version makes keys without one.

-- +goose Up
ALTER TABLE api_keys ADD COLUMN seal BINARY(32) NULL, ALGORITHM = INSTANT;

-- Its one row says that what was there before seals has been sealed, which is done
-- once: the user who serves can add the row, and not remove it.
CREATE TABLE IF NOT EXISTS api_key_sealing (
  id         TINYINT     NOT NULL,
  started_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE IF EXISTS api_key_sealing;
ALTER TABLE api_keys DROP COLUMN seal;
