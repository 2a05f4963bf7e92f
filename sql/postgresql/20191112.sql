-- When an account ends, when it was last used, and whether it is enabled: existing accounts are.
-- Columns: expiration_date, last_login, status

BEGIN;

ALTER TABLE "users"
    ADD COLUMN "expiration_date" bigint NOT NULL DEFAULT 0,
    ADD COLUMN "last_login" bigint NOT NULL DEFAULT 0,
    ADD COLUMN "status" integer NOT NULL DEFAULT 1;

-- The defaults were for the rows there are: whoever adds a row from now on says what it holds.
ALTER TABLE "users"
    ALTER COLUMN "expiration_date" DROP DEFAULT,
    ALTER COLUMN "last_login" DROP DEFAULT,
    ALTER COLUMN "status" DROP DEFAULT;

COMMIT;
