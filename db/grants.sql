-- The database users of an installation, with no more than they need.
-- Replace the passwords, the host part and the name of the database ("mems"). Run it
-- with "mysql --force" before the first migration, when the tables are not there yet,
-- and again after each one.
--
-- mems_migrate runs "mems migrate" and owns the schema. The backstop's triggers
-- run with its rights, so it must exist as long as they do. Where the binary log
-- is on, creating them also needs SUPER or log_bin_trust_function_creators = 1
-- while the migration runs.
CREATE USER IF NOT EXISTS 'mems_migrate'@'localhost' IDENTIFIED BY 'replace-this-1';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER ON mems.* TO 'mems_migrate'@'localhost';

-- mems_app runs "mems serve". It cannot change the schema, disarm the backstop,
-- write the mirror of occupied times, or delete an appointment.
CREATE USER IF NOT EXISTS 'mems_app'@'localhost' IDENTIFIED BY 'replace-this-2';
GRANT SELECT ON mems.goose_db_version TO 'mems_app'@'localhost';
GRANT SELECT ON mems.installation TO 'mems_app'@'localhost';
-- On MySQL, where MEMS_DATABASE_URL names several hosts: which of them is the primary
-- and has a majority. Without it they are not used. mems_migrate and mems_backup need
-- it, too.
-- GRANT SELECT ON performance_schema.replication_group_members TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.patients TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.doctors TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.appointments TO 'mems_app'@'localhost';
-- The history can be written, and never rewritten.
GRANT SELECT, INSERT ON mems.appointment_events TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE (reason) ON mems.appointment_event_overrides TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, DELETE ON mems.working_hours TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, DELETE ON mems.time_off TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, DELETE ON mems.closures TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, DELETE ON mems.holds TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.rooms TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.appointment_types TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.plans TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.plan_items TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.tickets TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.appointment_series TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.waitlist TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE (after_entry), DELETE ON mems.freed_times TO 'mems_app'@'localhost';
GRANT SELECT, INSERT ON mems.waitlist_missed TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, DELETE, UPDATE ON mems.patient_identifiers TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.patient_names TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE ON mems.patient_name_guards TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at, seal) ON mems.api_keys TO 'mems_app'@'localhost';
GRANT SELECT, INSERT ON mems.api_key_sealing TO 'mems_app'@'localhost';
GRANT SELECT, INSERT ON mems.clinic_zone TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON mems.calendar_feeds TO 'mems_app'@'localhost';
-- The audit trail can be written, and never rewritten. Of its chains, only where
-- they end is noted.
GRANT SELECT, INSERT ON mems.audit_entries TO 'mems_app'@'localhost';
-- What finds a patient's entries is made from them.
GRANT SELECT, INSERT ON mems.audit_patients TO 'mems_app'@'localhost';
GRANT SELECT, UPDATE ON mems.audit_index TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE (sealed_seq, sealed_hash, seal_seq, seal, seal_key) ON mems.audit_chains TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, DELETE ON mems.patient_secrets TO 'mems_app'@'localhost';
-- An erased patient leaves no words in the history.
GRANT UPDATE (note) ON mems.appointment_events TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.idempotency_keys TO 'mems_app'@'localhost';
-- What happened can be written and given its place, and never rewritten.
GRANT SELECT, INSERT, UPDATE (position), DELETE ON mems.changes TO 'mems_app'@'localhost';
GRANT SELECT, UPDATE ON mems.change_head TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.webhooks TO 'mems_app'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON mems.webhook_deliveries TO 'mems_app'@'localhost';

-- mems_backup runs "mems backup" and "mems checksum". It can read, and nothing
-- else; on MySQL, --binlog-position also needs RELOAD and REPLICATION CLIENT, which
-- are the server's, not the database's.
CREATE USER IF NOT EXISTS 'mems_backup'@'localhost' IDENTIFIED BY 'replace-this-3';
GRANT SELECT, TRIGGER, SHOW VIEW ON mems.* TO 'mems_backup'@'localhost';
