-- Optional: a second role, which reads and writes Strongroom's tables but cannot change or drop
-- them. As a superuser, in the database, after `strongroom init`:
--
--     psql -d strongroom -v role=strongroom_serve -v password="$(cat password)" -f serving-role.sql
--
-- The servers then use this role, and `strongroom init` and upgrades the one of role.sql.
\set ON_ERROR_STOP on

CREATE ROLE :"role" LOGIN PASSWORD :'password'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT;

SELECT current_database() AS database \gset
GRANT CONNECT ON DATABASE :"database" TO :"role";
GRANT USAGE ON SCHEMA strongroom TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA strongroom TO :"role";
