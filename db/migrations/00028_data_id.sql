-- Which data these are: another value after a reset or a restore, so that a server that
-- runs meanwhile notices that what it remembers is gone. Backups and checksums leave it
-- out; NULL until a restore is finished.

-- +goose Up
ALTER TABLE installation ADD COLUMN data_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL;
UPDATE installation SET data_id = LOWER(HEX(RANDOM_BYTES(16))) WHERE data_id IS NULL;

-- +goose Down
ALTER TABLE installation DROP COLUMN data_id;
