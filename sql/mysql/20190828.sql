-- The table of users.
-- Columns: id, username, password, public_keys, home_dir, uid, gid, max_sessions, quota_size, quota_files,
-- permissions, used_quota_size, used_quota_files, last_quota_update, upload_bandwidth, download_bandwidth
--
-- Names differ when a letter's case or an accent does, and are sorted by code point: no other collation has both.

BEGIN;

CREATE TABLE `users` (
    `id` integer NOT NULL PRIMARY KEY AUTO_INCREMENT,
    `username` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    `password` varchar(255) NULL,
    `public_keys` longtext NULL,
    `home_dir` varchar(255) NOT NULL,
    `uid` integer NOT NULL,
    `gid` integer NOT NULL,
    `max_sessions` integer NOT NULL,
    `quota_size` bigint NOT NULL,
    `quota_files` integer NOT NULL,
    `permissions` longtext NOT NULL,
    `used_quota_size` bigint NOT NULL,
    `used_quota_files` integer NOT NULL,
    `last_quota_update` bigint NOT NULL,
    `upload_bandwidth` integer NOT NULL,
    `download_bandwidth` integer NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT=DYNAMIC;

COMMIT;
