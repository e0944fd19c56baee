-- Version 1 of the tables. The program creates them in one transaction with their content.

-- The position of the last change, in the only row. Each append replaces the row, so its
-- page needs room for old versions of it, and vacuum must not wait for a fraction of the table.
create table strongroom.head (
  one     bool primary key default true check (one),
  version int not null, -- of this schema
  id      text not null, -- of the state
  lineage bytea not null check (octet_length(lineage) = 16),
  seq     bigint not null,
  chain   bytea not null check (octet_length(chain) = 16)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table strongroom.changes (
  seq   bigint primary key,
  batch uuid not null unique,
  chain bytea not null,
  body  bytea not null,
  at    timestamptz not null default clock_timestamp()
);

-- All rows of the state after the change in strongroom.folded.
create table strongroom.rows (
  bucket text collate "C" not null,
  key    bytea not null,
  value  bytea not null,
  primary key (bucket, key)
);

create table strongroom.folded (
  one   bool primary key default true check (one),
  seq   bigint not null,
  chain bytea not null,
  mac   bytea not null
);

create table strongroom.nodes (
  id           text primary key,
  name         text not null,
  version      text not null,
  applied      bigint not null,
  staleness_ms bigint not null,
  seen         timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table strongroom.duties (
  duty    text primary key,
  node    text not null,
  expires timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- Ciphertext cannot be compressed.
alter table strongroom.changes alter body set storage external;
alter table strongroom.rows alter value set storage external;

-- Appends a change if the last one is the expected one. Called outside of a transaction it
-- is one round trip, which ends when the change is durable.
create function strongroom.append(expected bigint, expected_chain bytea, new_batch uuid, new_chain bytea, new_body bytea)
returns text language plpgsql set lock_timeout = '8s' as $$
declare
  last strongroom.head;
begin
  select * into last from strongroom.head for update;
  if last.seq = expected and last.chain = expected_chain then
    insert into strongroom.changes (seq, batch, chain, body) values (expected + 1, new_batch, new_chain, new_body);
    update strongroom.head set seq = expected + 1, chain = new_chain;
    perform pg_notify('strongroom', (expected + 1)::text);
    return 'appended';
  end if;
  if last.seq <= expected then
    return 'diverged';
  end if;
  perform from strongroom.changes where seq = expected + 1 and batch = new_batch;
  if not found then
    return 'conflict';
  end if;
  -- An earlier call with this batch has committed, but its connection may have been cut
  -- while it waited for the standby. This write makes the commit wait for it again.
  update strongroom.head set seq = last.seq;
  return 'appended';
end $$;
