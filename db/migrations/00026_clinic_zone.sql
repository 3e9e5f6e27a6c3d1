-- The time zone that the clinic's dates were meant in: the one of the first start. A
-- server with another setting would show other days, and is refused. The user who
-- serves can add the row, and not change it.

-- +goose Up
CREATE TABLE IF NOT EXISTS clinic_zone (
  id   TINYINT     NOT NULL,
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT clinic_zone_one_row CHECK (id = 1)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE IF EXISTS clinic_zone;
