-- What is done stays done, also for the database user who serves: a revoked key or
-- feed stays revoked, and words of the history can be erased and not rewritten. The
-- rights of that user (grants.sql) have to allow the change in the right direction,
-- and rights cannot tell directions apart. Errors 45004 and 45005.

-- +goose Up
DROP TRIGGER IF EXISTS api_keys_before_update;
DROP TRIGGER IF EXISTS calendar_feeds_before_update;
DROP TRIGGER IF EXISTS appointment_events_before_update;
DROP TRIGGER IF EXISTS appointment_event_overrides_before_update;

-- +goose StatementBegin
CREATE TRIGGER api_keys_before_update BEFORE UPDATE ON api_keys FOR EACH ROW
BEGIN
  IF OLD.revoked_at IS NOT NULL AND NOT (NEW.revoked_at <=> OLD.revoked_at) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45004, MESSAGE_TEXT = 'a revoked key stays revoked';
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER calendar_feeds_before_update BEFORE UPDATE ON calendar_feeds FOR EACH ROW
BEGIN
  IF OLD.revoked_at IS NOT NULL AND NOT (NEW.revoked_at <=> OLD.revoked_at) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45004, MESSAGE_TEXT = 'a revoked feed stays revoked';
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointment_events_before_update BEFORE UPDATE ON appointment_events FOR EACH ROW
BEGIN
  IF NEW.note IS NOT NULL AND NOT (BINARY NEW.note <=> BINARY OLD.note) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45005, MESSAGE_TEXT = 'a note of the history can only be erased';
  END IF;
END
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER appointment_event_overrides_before_update BEFORE UPDATE ON appointment_event_overrides FOR EACH ROW
BEGIN
  IF NEW.reason <> 'erased' AND NOT (BINARY NEW.reason = BINARY OLD.reason) THEN
    SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 45005, MESSAGE_TEXT = 'a reason of the history can only be erased';
  END IF;
END
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER IF EXISTS api_keys_before_update;
DROP TRIGGER IF EXISTS calendar_feeds_before_update;
DROP TRIGGER IF EXISTS appointment_events_before_update;
DROP TRIGGER IF EXISTS appointment_event_overrides_before_update;
