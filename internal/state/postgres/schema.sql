-- Version 1 of the tables. The program creates them in one transaction with their content.
--
-- A newer version, also of the content of rows and changes, must be made in one transaction
-- that first takes the lock of the function append, raises the version, and gives the function
-- another name: running nodes of earlier programs can then append nothing, and end when they
-- next read the head. So it keeps the columns that this query needs: seq and chain of changes,
-- and all of state.

-- Says which state this is, in the only row.
create table strongroom.state (
  one     bool primary key default true check (one),
  version int not null, -- of these tables; with a mark if the state has been moved to a file
  id      text not null,
  lineage bytea not null check (octet_length(lineage) = 16)
);

-- The log. Its last change is the position of the state, so there is always one: the first
-- row stands for all changes before the import, and is empty.
create table strongroom.changes (
  seq   bigint primary key,
  batch uuid not null,
  chain bytea not null check (octet_length(chain) = 16),
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
-- is one round trip, which ends when the change is durable. The lock gives nodes that wait
-- for it their turns in order, until the transaction ends.
create function strongroom.append(expected bigint, expected_chain bytea, new_batch uuid, new_chain bytea, new_body bytea)
returns text language plpgsql set lock_timeout = '8s' as $$
declare
  last_seq bigint;
  last_chain bytea;
begin
  perform pg_advisory_xact_lock(7638, 1);
  select seq, chain into last_seq, last_chain from strongroom.changes order by seq desc limit 1;
  if last_seq = expected and last_chain = expected_chain then
    insert into strongroom.changes (seq, batch, chain, body) values (expected + 1, new_batch, new_chain, new_body);
    return 'appended';
  end if;
  if last_seq <= expected then
    return 'diverged';
  end if;
  perform from strongroom.changes where seq = expected + 1 and batch = new_batch;
  if not found then
    return 'conflict';
  end if;
  -- An earlier call with this batch has committed, but its connection may have been cut
  -- while it waited for the standby. This write makes the commit wait for it again.
  update strongroom.state set version = version;
  return 'appended';
end $$;
