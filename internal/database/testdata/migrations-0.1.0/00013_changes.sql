-- The change feed and webhooks. A change is written in the transaction that makes
-- it, and is given its place in the feed after the commit: db/README.md.

-- +goose Up
CREATE TABLE changes (
  id          BIGINT      NOT NULL AUTO_INCREMENT,
  position    BIGINT      NULL, -- 1, 2, 3 ... without a gap; NULL until it has its place
  at          DATETIME(6) NOT NULL,
  type        VARCHAR(60) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object      VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object_id   BIGINT      NOT NULL, -- no foreign key: it outlives the record
  doctor_id   BIGINT      NULL, -- whose calendar it is in
  left_doctor BIGINT      NULL, -- whose calendar it was in before
  made_by_key BIGINT      NULL, -- the API key that the record was made with
  PRIMARY KEY (id),
  UNIQUE KEY changes_position (position),
  KEY changes_object (object, object_id, id),
  KEY changes_age (at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Where the feed ends. Whoever gives places writes this row first.
CREATE TABLE change_head (
  id       INT    NOT NULL,
  position BIGINT NOT NULL,
  turns    BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT change_head_one CHECK (id = 1)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
INSERT INTO change_head (id, position, turns) VALUES (1, 0, 0);

-- What there is already, so that a replay from the beginning has it.
INSERT INTO changes (at, type, object, object_id) SELECT updated_at, 'doctor.created', 'doctor', id FROM doctors ORDER BY id;
INSERT INTO changes (at, type, object, object_id, doctor_id)
SELECT updated_at, 'working_hours.updated', 'working_hours', id, id FROM doctors WHERE hours_version > 1 ORDER BY id;
INSERT INTO changes (at, type, object, object_id) SELECT updated_at, 'room.created', 'room', id FROM rooms ORDER BY id;
INSERT INTO changes (at, type, object, object_id) SELECT updated_at, 'appointment_type.created', 'appointment_type', id FROM appointment_types ORDER BY id;
INSERT INTO changes (at, type, object, object_id) SELECT updated_at, 'closure.created', 'closure', id FROM closures ORDER BY id;
INSERT INTO changes (at, type, object, object_id, doctor_id) SELECT updated_at, 'time_off.created', 'time_off', id, doctor_id FROM time_off ORDER BY id;
INSERT INTO changes (at, type, object, object_id, made_by_key) SELECT updated_at, 'patient.created', 'patient', id, made_by_key FROM patients ORDER BY id;
INSERT INTO changes (at, type, object, object_id, doctor_id, made_by_key)
SELECT updated_at, 'series.created', 'series', id, doctor_id, made_by_key FROM appointment_series ORDER BY id;
INSERT INTO changes (at, type, object, object_id, doctor_id, made_by_key)
SELECT updated_at, 'appointment.booked', 'appointment', id, doctor_id, made_by_key FROM appointments ORDER BY id;
INSERT INTO changes (at, type, object, object_id, doctor_id) SELECT updated_at, 'ticket.created', 'ticket', id, doctor_id FROM tickets ORDER BY id;
INSERT INTO changes (at, type, object, object_id, made_by_key) SELECT updated_at, 'waitlist_entry.created', 'waitlist_entry', id, made_by_key FROM waitlist ORDER BY id;
INSERT INTO changes (at, type, object, object_id, doctor_id, made_by_key)
SELECT created_at, 'hold.created', 'hold', id, doctor_id, made_by_key FROM holds ORDER BY id;

CREATE TABLE webhooks (
  id              BIGINT       NOT NULL AUTO_INCREMENT,
  url             VARCHAR(500) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  description     VARCHAR(200) NULL,
  types           JSON         NOT NULL, -- patterns; [] is every type
  enabled         TINYINT(1)   NOT NULL DEFAULT 1,
  disabled_reason VARCHAR(200) NULL,
  secret          BINARY(32)   NOT NULL, -- as it is: messages are signed with it
  old_secret      BINARY(32)   NULL,
  old_until       DATETIME(6)  NULL, -- until when messages are signed with the old one too
  created_by      VARCHAR(200) NOT NULL,
  version         BIGINT       NOT NULL,
  created_at      DATETIME(6)  NOT NULL,
  updated_at      DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT webhooks_old_secret CHECK ((old_secret IS NULL) = (old_until IS NULL))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE webhook_deliveries (
  id          BIGINT       NOT NULL AUTO_INCREMENT,
  webhook_id  BIGINT       NOT NULL,
  position    BIGINT       NULL, -- the change; NULL: a test
  at          DATETIME(6)  NOT NULL,
  type        VARCHAR(60)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  object      VARCHAR(40)  CHARACTER SET ascii COLLATE ascii_bin NULL,
  object_id   BIGINT       NULL,
  doctor_id   BIGINT       NULL,
  status      VARCHAR(10)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  resent      TINYINT(1)   NOT NULL DEFAULT 0, -- sent again by hand: waits for nobody, and nobody for it
  attempts    INT          NOT NULL DEFAULT 0, -- of this round
  since       DATETIME(6)  NOT NULL, -- when this round began
  next_at     DATETIME(6)  NULL, -- when it is tried next, or, while it is being sent, when it counts as lost
  last_at     DATETIME(6)  NULL,
  last_status INT          NULL,
  last_error  VARCHAR(200) NULL,
  created_at  DATETIME(6)  NOT NULL,
  PRIMARY KEY (id),
  KEY webhook_deliveries_due (webhook_id, status, next_at),
  KEY webhook_deliveries_order (webhook_id, object, object_id, status, id),
  KEY webhook_deliveries_age (last_at),
  CONSTRAINT webhook_deliveries_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE,
  CONSTRAINT webhook_deliveries_status CHECK (status IN ('pending', 'delivered', 'dead')),
  CONSTRAINT webhook_deliveries_next CHECK ((status = 'pending') = (next_at IS NOT NULL))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
DROP TABLE change_head;
DROP TABLE changes;
