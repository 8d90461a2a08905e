-- Records below log_start_min are deleted, whatever the partition's log still has.

ALTER TABLE partition ADD COLUMN log_start_min INTEGER NOT NULL DEFAULT 0;
