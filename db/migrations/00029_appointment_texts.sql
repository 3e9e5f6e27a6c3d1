-- What an appointment is for, and a note for staff.

-- +goose Up
ALTER TABLE appointments ADD COLUMN reason VARCHAR(200) NULL, ALGORITHM = INSTANT;
ALTER TABLE appointments ADD COLUMN note VARCHAR(500) NULL, ALGORITHM = INSTANT;

-- +goose Down
ALTER TABLE appointments DROP COLUMN note;
ALTER TABLE appointments DROP COLUMN reason;
