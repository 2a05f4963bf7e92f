-- The networks an account may be used from.
-- Columns: filters

BEGIN;

ALTER TABLE `users` ADD COLUMN `filters` longtext NULL;

COMMIT;
