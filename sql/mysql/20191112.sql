-- When an account ends, when it was last used, and whether it is enabled: existing accounts are.
-- Columns: expiration_date, last_login, status
--
-- MySQL ends a transaction before each of these.  One statement adds all three, so they are there together or not at
-- all; where the row had none, a number without a default is 0.

BEGIN;

ALTER TABLE `users`
    ADD COLUMN `expiration_date` bigint NOT NULL,
    ADD COLUMN `last_login` bigint NOT NULL,
    ADD COLUMN `status` integer NOT NULL DEFAULT 1;

ALTER TABLE `users` ALTER COLUMN `status` DROP DEFAULT;

COMMIT;
