-- The seal of a chain of the audit trail: an HMAC by a secret that the database does not
-- have (MEMS_AUDIT_KEYS) over the chain and its hash after entry seal_seq, so that nothing
-- up to there is cut off unnoticed. In the root's row (id 1), seal_seq is the last chain
-- that was counted. NULL: not sealed. A program before this version writes none.

-- +goose Up
ALTER TABLE audit_chains ADD COLUMN seal_seq BIGINT NULL, ALGORITHM = INSTANT;
ALTER TABLE audit_chains ADD COLUMN seal BINARY(32) NULL, ALGORITHM = INSTANT;
ALTER TABLE audit_chains ADD COLUMN seal_key BINARY(4) NULL, ALGORITHM = INSTANT;

-- +goose Down
ALTER TABLE audit_chains DROP COLUMN seal_key;
ALTER TABLE audit_chains DROP COLUMN seal;
ALTER TABLE audit_chains DROP COLUMN seal_seq;
