-- A ticket stays in the queue over midnight, until the patient is called or gone.

-- +goose Up
-- Those that were forgotten on earlier days, which no queue has shown since, end here.
UPDATE tickets
SET status = IF(status = 'in_progress', 'done', 'left'), version = version + 1, updated_at = UTC_TIMESTAMP(6)
WHERE status IN ('waiting', 'called', 'in_progress') AND created_at < UTC_TIMESTAMP(6) - INTERVAL 1 DAY;
-- Zones count no leap seconds; these names came from files of a host.
UPDATE doctors SET hours_time_zone = SUBSTRING(hours_time_zone, 7) WHERE hours_time_zone LIKE 'right/%' OR hours_time_zone LIKE 'posix/%';
UPDATE appointment_series SET time_zone = SUBSTRING(time_zone, 7) WHERE time_zone LIKE 'right/%' OR time_zone LIKE 'posix/%';
UPDATE doctors SET hours_time_zone = 'UTC' WHERE hours_time_zone = 'Factory';
UPDATE appointment_series SET time_zone = 'UTC' WHERE time_zone = 'Factory';
UPDATE doctors SET hours_time_zone = 'America/New_York' WHERE hours_time_zone = 'posixrules';
UPDATE appointment_series SET time_zone = 'America/New_York' WHERE time_zone = 'posixrules';
ALTER TABLE tickets ADD KEY tickets_open (doctor_id, status, day, number), ALGORITHM = INPLACE, LOCK = NONE;

-- +goose Down
ALTER TABLE tickets DROP KEY tickets_open;
