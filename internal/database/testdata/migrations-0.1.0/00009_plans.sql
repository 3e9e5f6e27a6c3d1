-- Plans: for every visit that a doctor cannot keep, a time that was free when the
-- plan was made. Making one changes no calendar; applying it moves visits by the
-- rules of any reschedule.

-- +goose Up
CREATE TABLE plans (
  id         BIGINT      NOT NULL AUTO_INCREMENT,
  doctor_id  BIGINT      NOT NULL,
  start_time DATETIME(6) NOT NULL,
  end_time   DATETIME(6) NOT NULL,
  version    BIGINT      NOT NULL DEFAULT 1,
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  KEY plans_doctor (doctor_id),
  CONSTRAINT plans_doctor_exists FOREIGN KEY (doctor_id) REFERENCES doctors (id) ON DELETE CASCADE,
  CONSTRAINT plans_order CHECK (start_time < end_time)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE plan_items (
  plan_id             BIGINT      NOT NULL,
  appointment_id      BIGINT      NOT NULL,
  appointment_version BIGINT      NOT NULL, -- what was planned for; a visit changed since is left alone
  start_time          DATETIME(6) NULL,     -- of the proposal; null: nothing is free
  doctor_id           BIGINT      NULL,
  room_id             BIGINT      NULL,
  moved               TINYINT(1)  NOT NULL DEFAULT 0,
  PRIMARY KEY (plan_id, appointment_id),
  KEY plan_items_appointment (appointment_id),
  CONSTRAINT plan_items_of FOREIGN KEY (plan_id) REFERENCES plans (id) ON DELETE CASCADE,
  CONSTRAINT plan_items_appointment_exists FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE,
  CONSTRAINT plan_items_proposal CHECK ((start_time IS NULL) = (doctor_id IS NULL)),
  CONSTRAINT plan_items_moved CHECK (moved IN (0, 1))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE plan_items;
DROP TABLE plans;
