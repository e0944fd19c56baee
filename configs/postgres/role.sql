-- Creates Strongroom's role and database. As a superuser of the database server:
--
--     psql -v role=strongroom -v database=strongroom -v password="$(cat password)" -f role.sql
--
-- Remove what is already there, or use names that are free.
\set ON_ERROR_STOP on

CREATE ROLE :"role" LOGIN PASSWORD :'password'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT;

-- Other roles cannot connect to this database.
CREATE DATABASE :"database" TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;

-- CREATE lets `strongroom init --postgres` create the schema `strongroom`. It can be revoked afterwards.
GRANT CONNECT, CREATE ON DATABASE :"database" TO :"role";

\connect :"database"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
