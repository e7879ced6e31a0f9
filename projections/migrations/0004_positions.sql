-- How far the log is projected. These rows change in the transaction that brings the rows they vouch for.

create table tickledger.log (
    only_row   boolean primary key default true check (only_row),
    cluster_id text not null
);
comment on table tickledger.log is 'Which log this database is made from.';
comment on column tickledger.log.only_row is 'There is one row.';
comment on column tickledger.log.cluster_id is 'Id of the Kafka cluster.';

create table tickledger.marks (
    topic       text     not null,
    partition   smallint not null,
    next_offset bigint   not null,
    taken       bigint   not null default 0,
    seen        bigint   not null default 0,
    void        bigint   not null default 0,
    forged      bigint   not null default 0,
    stopped     bigint   not null default 0,
    ahead       bigint   not null default 0,
    repaired    bigint   not null default 0,
    primary key (topic, partition)
);
comment on table tickledger.marks is 'How far each partition of the log is projected, and what was said of its records.';
comment on column tickledger.marks.topic is 'Name of the topic.';
comment on column tickledger.marks.partition is 'Its partition.';
comment on column tickledger.marks.next_offset is 'Offset of the next record to read.';
comment on column tickledger.marks.taken is 'Records taken.';
comment on column tickledger.marks.seen is 'Records that were there before.';
comment on column tickledger.marks.void is 'Records of a writer that had been replaced.';
comment on column tickledger.marks.forged is 'Records with a wrong MAC, or that can''t be read.';
comment on column tickledger.marks.stopped is 'Records of chains that are stopped.';
comment on column tickledger.marks.repaired is 'Damaged records that a Repair leads past.';
comment on column tickledger.marks.ahead is 'Derived records whose number was above the next.';

create table tickledger.heads (
    topic         text     not null,
    chain         text     not null,
    partition     smallint not null,
    epoch         bigint   not null,
    nonce         bytea    not null,
    seq           bigint   not null,
    n             bigint   not null,
    ref_no        bigint   not null,
    mac           bytea    not null,
    log_offset    bigint   not null,
    newest_ms     bigint,
    stopped_at    bigint,
    stopped_why   text     not null default '',
    primary key (topic, chain)
);
comment on table tickledger.heads is 'The last record taken of each chain of facts.';
comment on column tickledger.heads.topic is 'Topic of the chain.';
comment on column tickledger.heads.chain is 'Its key: a listing, or the word reference.';
comment on column tickledger.heads.partition is 'Its partition.';
comment on column tickledger.heads.epoch is 'Epoch of the writer that holds the chain.';
comment on column tickledger.heads.nonce is 'Nonce of that epoch''s OPEN, 8 bytes.';
comment on column tickledger.heads.seq is 'Links of the chain so far.';
comment on column tickledger.heads.n is 'Items (ticks, reference numbers) of the chain so far.';
comment on column tickledger.heads.ref_no is 'Reference number of the head.';
comment on column tickledger.heads.mac is 'MAC of the last link, 16 bytes; zero before the first.';
comment on column tickledger.heads.log_offset is 'Offset of the last record taken.';
comment on column tickledger.heads.newest_ms is 'For ticks: time of the newest that isn''t broken, UTC epoch in milliseconds; null before the first.';
comment on column tickledger.heads.stopped_at is 'Offset of the record that did not fit, where the chain is stopped; null while it goes on.';
comment on column tickledger.heads.stopped_why is 'Why it is stopped.';

create table tickledger.out_marks (
    operator_id integer not null,
    topic       text    not null,
    listing_id  integer not null,
    next_out    bigint  not null,
    primary key (operator_id, topic, listing_id)
);
comment on table tickledger.out_marks is 'The number that the next output of each operator for each listing has.';
comment on column tickledger.out_marks.operator_id is 'operators.id.';
comment on column tickledger.out_marks.topic is 'Topic of the outputs.';
comment on column tickledger.out_marks.listing_id is 'listings.id.';
comment on column tickledger.out_marks.next_out is 'out_seq of the next output.';
