-- Ticks and the blocks that brought them.
--
-- Time is the partition column and part of every unique key, as a hypertable wants it. Partitions are months: twenty
-- years are 240 of them, few enough to be planned over and locked at once (weeks would be a thousand), and a month of
-- ten busy listings is some gigabytes, small enough to be moved, compressed or dropped. The projector makes the months
-- of good ticks between 1970 and 2099; whatever else a broken tick claims lies in the default partition.

create table tickledger.listings (
    id   integer generated always as identity primary key,
    name text not null unique
);
comment on table tickledger.listings is 'Listings met on the log. Ids are handed out in order of arrival and mean nothing outside this database.';
comment on column tickledger.listings.id is 'Stands for the name in the large tables.';
comment on column tickledger.listings.name is 'feed/SYMBOL.';

create table tickledger.ticks (
    n          bigint           not null,
    time       timestamptz      not null,
    bid        double precision not null,
    ask        double precision not null,
    listing_id integer          not null,
    flags      integer          not null,
    quality    integer          not null,
    last       double precision,
    volume     double precision,
    time_ms    bigint,
    primary key (listing_id, n, time)
) partition by range (time);
comment on table tickledger.ticks is 'Every tick of every listing''s log, refused ones included.';
comment on column tickledger.ticks.n is 'Number of the tick in its listing''s log, dense from 0.';
comment on column tickledger.ticks.time is 'Time of the tick, UTC; plus or minus infinity where a broken tick''s time is beyond what this type holds.';
comment on column tickledger.ticks.bid is 'Bid price; of a broken tick whatever was given, NaN too.';
comment on column tickledger.ticks.ask is 'Ask price.';
comment on column tickledger.ticks.listing_id is 'listings.id.';
comment on column tickledger.ticks.flags is 'MT5''s TICK_FLAG bits, as given.';
comment on column tickledger.ticks.quality is 'Sum of the reasons why the tick is refused or suspect (schemas/quality.py): bits 0-7 broken, 8-15 suspect, 16 synthetic; 0 is good.';
comment on column tickledger.ticks.last is 'Price of the last deal; null where the symbol has none.';
comment on column tickledger.ticks.volume is 'Volume of the last deal, lots; null where the symbol has none.';
comment on column tickledger.ticks.time_ms is 'UTC epoch in milliseconds, only where time is infinite.';

create table tickledger.ticks_default partition of tickledger.ticks default;
comment on table tickledger.ticks_default is 'Ticks whose time has no month of its own: broken clocks.';

-- Refused ticks whose time lies in a range but whose place in the log doesn't; good ticks cost this index nothing.
create index ticks_broken on tickledger.ticks (listing_id, time) where (quality & 255) <> 0;

create table tickledger.tick_blocks (
    first_n         bigint      not null,
    seq             bigint      not null,
    time            timestamptz not null,
    received        timestamptz not null,
    watermark       timestamptz not null,
    from_time       timestamptz not null,
    to_time         timestamptz not null,
    epoch           bigint      not null,
    ref_no          bigint      not null,
    log_offset      bigint      not null,
    listing_id      integer     not null,
    count           integer     not null,
    server_offset_s integer     not null,
    log_partition   smallint    not null,
    source          smallint    not null,
    gap             boolean     not null,
    mac             bytea       not null,
    primary key (listing_id, first_n, seq, time)
) partition by range (time);
comment on table tickledger.tick_blocks is 'One row a block of the topic ticks: where each tick lies on the log. OPENs, which hold no ticks, are left out.';
comment on column tickledger.tick_blocks.first_n is 'n of its first tick; of a heartbeat, which has none, of the tick to come.';
comment on column tickledger.tick_blocks.seq is 'Links of the listing''s chain so far, this one included.';
comment on column tickledger.tick_blocks.time is 'Time of the newest tick that isn''t broken up to the end of this block, UTC; minus infinity while there is none. Never falls from block to block.';
comment on column tickledger.tick_blocks.received is 'When the writer had the ticks, UTC.';
comment on column tickledger.tick_blocks.watermark is 'No tick before this time will come, by the server''s evidence, UTC.';
comment on column tickledger.tick_blocks.from_time is 'Lowest time of its ticks, broken ones included, UTC; plus infinity if it has none.';
comment on column tickledger.tick_blocks.to_time is 'Highest time of its ticks, broken ones included, UTC; minus infinity if it has none.';
comment on column tickledger.tick_blocks.epoch is 'Writers of the listing''s chain so far.';
comment on column tickledger.tick_blocks.ref_no is 'The last reference number that the writer had read.';
comment on column tickledger.tick_blocks.log_offset is 'Its offset in the partition of the topic.';
comment on column tickledger.tick_blocks.listing_id is 'listings.id.';
comment on column tickledger.tick_blocks.count is 'Ticks in it.';
comment on column tickledger.tick_blocks.server_offset_s is 'The server''s clock against UTC, seconds.';
comment on column tickledger.tick_blocks.log_partition is 'Its partition of the topic.';
comment on column tickledger.tick_blocks.source is 'How the ticks came: 1 live, 2 bridge, 3 backfill, 4 import.';
comment on column tickledger.tick_blocks.gap is 'The writer can''t vouch that nothing is missing before this block.';
comment on column tickledger.tick_blocks.mac is 'The block''s MAC, 16 bytes: the name by which the next block calls it.';

create table tickledger.tick_blocks_default partition of tickledger.tick_blocks default;
comment on table tickledger.tick_blocks_default is 'Blocks whose newest good tick has no month of its own, or that come before the first good one.';

create index tick_blocks_time on tickledger.tick_blocks (listing_id, time, first_n);

create function tickledger.make_partition(parent text, child text, from_time timestamptz, to_time timestamptz)
returns void language plpgsql as $$
begin
    if to_regclass('tickledger.' || quote_ident(child)) is not null then
        return;
    end if;
    execute format('create table tickledger.%I (like tickledger.%I including defaults including constraints)', child, parent);
    -- What had no month before (a broken clock that ran ahead) must leave the default partition first.
    execute format('with moved as (delete from tickledger.%I where time >= %L and time < %L returning *) '
                   'insert into tickledger.%I select * from moved', parent || '_default', from_time, to_time, child);
    execute format('alter table tickledger.%I attach partition tickledger.%I for values from (%L) to (%L)',
                   parent, child, from_time, to_time);
end $$;
comment on function tickledger.make_partition is 'Makes the partition child of parent for [from_time, to_time) unless it is there.';
