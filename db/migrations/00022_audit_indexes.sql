-- What a caller did, and what was done by an operation, newest first.

-- +goose Up
ALTER TABLE audit_entries ADD KEY audit_entries_subject (subject, id), ALGORITHM = INPLACE, LOCK = NONE;
ALTER TABLE audit_entries ADD KEY audit_entries_operation (operation, id), ALGORITHM = INPLACE, LOCK = NONE;

-- +goose Down
ALTER TABLE audit_entries DROP KEY audit_entries_operation;
ALTER TABLE audit_entries DROP KEY audit_entries_subject;
