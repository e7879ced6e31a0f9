-- What happened to feeds, what somebody should look at, and what was configured. Few rows: ordinary tables for good.

create table tickledger.sources (
    event_id        text        primary key,
    feed            text        not null,
    kind            text        not null,
    time            timestamptz not null,
    listing         text        not null,
    from_n          bigint,
    to_n            bigint,
    from_time       timestamptz,
    to_time         timestamptz,
    server_offset_s integer     not null,
    detail          text        not null,
    log_partition   smallint    not null,
    log_offset      bigint      not null
);
comment on table tickledger.sources is 'What happened to feeds of quotes.';
comment on column tickledger.sources.event_id is 'Made from what happened: the same event written twice is one row.';
comment on column tickledger.sources.feed is 'Name of the feed.';
comment on column tickledger.sources.kind is 'CONNECTED, LOST, SWITCHED, GAP, OFFSET_CHANGED or AVAILABILITY.';
comment on column tickledger.sources.time is 'When it was written, UTC; of several copies the first.';
comment on column tickledger.sources.listing is 'The listing, or empty for the whole feed.';
comment on column tickledger.sources.from_n is 'First tick concerned; null = none.';
comment on column tickledger.sources.to_n is 'One past the last tick concerned; null = none.';
comment on column tickledger.sources.from_time is 'Start of the range, UTC; null = none.';
comment on column tickledger.sources.to_time is 'End of the range, UTC; null = none.';
comment on column tickledger.sources.server_offset_s is 'The server''s clock against UTC, seconds.';
comment on column tickledger.sources.detail is 'For people: file, server, reason.';
comment on column tickledger.sources.log_partition is 'Its partition of the topic sources.';
comment on column tickledger.sources.log_offset is 'Its offset.';
create index sources_time on tickledger.sources (time);

create table tickledger.alerts (
    alert_id        text        primary key,
    code            text        not null,
    severity        text        not null,
    source          text        not null,
    subject         text        not null,
    time            timestamptz not null,
    about_topic     text,
    about_partition integer,
    about_offset    bigint,
    message         text        not null,
    log_partition   smallint    not null,
    log_offset      bigint      not null
);
comment on table tickledger.alerts is 'What somebody should look at.';
comment on column tickledger.alerts.alert_id is 'Made from what it is about: the same alert raised twice is one row.';
comment on column tickledger.alerts.code is 'What kind of thing it is.';
comment on column tickledger.alerts.severity is 'INFO, WARNING or CRITICAL.';
comment on column tickledger.alerts.source is 'The service that raised it.';
comment on column tickledger.alerts.subject is 'Listing, chain or service that it is about.';
comment on column tickledger.alerts.time is 'When it was raised, UTC; of several copies the first.';
comment on column tickledger.alerts.about_topic is 'Topic of the record concerned; null = none.';
comment on column tickledger.alerts.about_partition is 'Its partition.';
comment on column tickledger.alerts.about_offset is 'Its offset.';
comment on column tickledger.alerts.message is 'What, and the way out.';
comment on column tickledger.alerts.log_partition is 'The alert''s own partition of the topic alerts.';
comment on column tickledger.alerts.log_offset is 'Its offset.';
create index alerts_time on tickledger.alerts (time);

create table tickledger.reference (
    ref_no         bigint      primary key,
    kind           text        not null,
    subject        text        not null,
    effective_from timestamptz,
    written        timestamptz not null,
    epoch          bigint      not null,
    seq            bigint      not null,
    log_offset     bigint      not null,
    mac            bytea       not null,
    body           json        not null
);
comment on table tickledger.reference is 'What was configured, and from when: the numbered records of the topic reference.';
comment on column tickledger.reference.ref_no is 'Its number, dense from 1: blocks name the last one their writer had read.';
comment on column tickledger.reference.kind is 'Type of the record: ListingSpec, OperatorActivation or Repair.';
comment on column tickledger.reference.subject is 'The listing, instance or chain that it is about.';
comment on column tickledger.reference.effective_from is 'From when it holds, UTC; null = always.';
comment on column tickledger.reference.written is 'When it was written, UTC.';
comment on column tickledger.reference.epoch is 'Writers of the chain so far.';
comment on column tickledger.reference.seq is 'Links of the chain so far, this one included.';
comment on column tickledger.reference.log_offset is 'Its offset; the topic has one partition.';
comment on column tickledger.reference.mac is 'Its MAC, 16 bytes.';
comment on column tickledger.reference.body is 'All its fields, by the names of its schema; bytes in hexadecimal.';
create index reference_subject on tickledger.reference (subject, ref_no);
