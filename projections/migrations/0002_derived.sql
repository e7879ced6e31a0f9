-- What operators made of the ticks. A year a partition: a listing has half a million bars in one.

create table tickledger.operators (
    id       integer generated always as identity primary key,
    name     text   not null unique,
    instance text   not null,
    ref_no   bigint not null
);
comment on table tickledger.operators is 'Activated instances met on derived topics. Ids are handed out in order of arrival.';
comment on column tickledger.operators.id is 'Stands for the name in the large tables.';
comment on column tickledger.operators.name is 'instance@ref_no.';
comment on column tickledger.operators.instance is 'Name of the instance.';
comment on column tickledger.operators.ref_no is 'Reference number of its activation.';

create table tickledger.bars (
    time            timestamptz      not null,
    out_seq         bigint           not null,
    open            double precision not null,
    high            double precision not null,
    low             double precision not null,
    close           double precision not null,
    ask_close       double precision not null,
    spread_mean     double precision not null,
    volume          double precision not null,
    ticks           bigint           not null,
    spread_min      bigint           not null,
    spread_max      bigint           not null,
    first_n         bigint           not null,
    last_n          bigint           not null,
    ref_no          bigint           not null,
    listing_id      integer          not null,
    operator_id     integer          not null,
    server_offset_s integer          not null,
    timeframe       smallint         not null,
    complete        boolean          not null,
    primary key (listing_id, operator_id, out_seq, time)
) partition by range (time);
comment on table tickledger.bars is 'Closed bars of bid prices, cut on the server''s clock.';
comment on column tickledger.bars.time is 'Opening time, UTC. Two bars of a timeframe can share it where the server''s clock was set forward.';
comment on column tickledger.bars.out_seq is 'Number among the operator''s outputs for the listing, dense from 0.';
comment on column tickledger.bars.open is 'First bid.';
comment on column tickledger.bars.high is 'Highest bid.';
comment on column tickledger.bars.low is 'Lowest bid.';
comment on column tickledger.bars.close is 'Last bid.';
comment on column tickledger.bars.ask_close is 'Last ask.';
comment on column tickledger.bars.spread_mean is 'Mean spread over its ticks, points.';
comment on column tickledger.bars.volume is 'Sum of the ticks'' volumes, lots; 0 where the symbol has none.';
comment on column tickledger.bars.ticks is 'Ticks in it that aren''t broken.';
comment on column tickledger.bars.spread_min is 'Smallest spread, points.';
comment on column tickledger.bars.spread_max is 'Largest spread, points.';
comment on column tickledger.bars.first_n is 'n of its first tick.';
comment on column tickledger.bars.last_n is 'n of its last tick.';
comment on column tickledger.bars.ref_no is 'The reference number that held at what proved it.';
comment on column tickledger.bars.listing_id is 'listings.id.';
comment on column tickledger.bars.operator_id is 'operators.id.';
comment on column tickledger.bars.server_offset_s is 'The server''s clock against UTC at its first tick, seconds.';
comment on column tickledger.bars.timeframe is '1 M1, 2 M5, 3 M15, 4 M30, 5 H1, 6 H4, 7 D1.';
comment on column tickledger.bars.complete is 'False if the log starts, or has a gap, inside it.';

create table tickledger.bars_default partition of tickledger.bars default;
comment on table tickledger.bars_default is 'Bars of times before 1970 or after 2099.';

create index bars_time on tickledger.bars (listing_id, timeframe, time);

create table tickledger.signals (
    time            timestamptz      not null,
    out_seq         bigint           not null,
    n               bigint           not null,
    from_n          bigint           not null,
    bid             double precision not null,
    ask             double precision not null,
    strength        double precision not null,
    valid_for_ms    bigint           not null,
    max_hold_ms     bigint           not null,
    cooldown_ms     bigint           not null,
    expires_ms      bigint           not null,
    ref_no          bigint           not null,
    log_offset      bigint           not null,
    listing_id      integer          not null,
    operator_id     integer          not null,
    log_partition   smallint         not null,
    kind            text             not null,
    side            text             not null,
    on_opposite     text             not null,
    entry_type      text             not null,
    price           double precision,
    stop_distance   double precision,
    target_distance double precision,
    trail_long      double precision,
    trail_short     double precision,
    breakeven_at    double precision,
    partial_at      double precision,
    partial_share   double precision,
    model           text             not null,
    message         text             not null,
    key_id          text             not null,
    mac             bytea            not null,
    primary key (listing_id, operator_id, out_seq, time)
) partition by range (time);
comment on table tickledger.signals is 'What strategies decided, with the exit plan that the desk will follow.';
comment on column tickledger.signals.time is 'Time of the tick, or a bar''s end, UTC.';
comment on column tickledger.signals.out_seq is 'Number among the operator''s outputs for the listing, dense from 0.';
comment on column tickledger.signals.n is 'The tick that proved it.';
comment on column tickledger.signals.from_n is 'The first tick that it rests on.';
comment on column tickledger.signals.bid is 'Bid at tick n.';
comment on column tickledger.signals.ask is 'Ask at tick n.';
comment on column tickledger.signals.strength is 'The strategy''s own measure, documented with it.';
comment on column tickledger.signals.valid_for_ms is 'An entry expires so long after time, milliseconds; 0 = never.';
comment on column tickledger.signals.max_hold_ms is 'Close after so long, milliseconds; 0 = never.';
comment on column tickledger.signals.cooldown_ms is 'No new entry so long after an exit, milliseconds.';
comment on column tickledger.signals.expires_ms is 'A LIMIT or STOP entry is withdrawn so long after time, milliseconds; 0 = never.';
comment on column tickledger.signals.ref_no is 'The reference number that held at what proved it.';
comment on column tickledger.signals.log_offset is 'Offset of the copy that was taken.';
comment on column tickledger.signals.listing_id is 'listings.id.';
comment on column tickledger.signals.operator_id is 'operators.id.';
comment on column tickledger.signals.log_partition is 'Its partition of the topic signals.';
comment on column tickledger.signals.kind is 'ENTER, EXIT, LEVELS or FAILED.';
comment on column tickledger.signals.side is 'LONG or SHORT; NONE for LEVELS and FAILED.';
comment on column tickledger.signals.on_opposite is 'What an entry to the other side does: REVERSE, CLOSE or IGNORE.';
comment on column tickledger.signals.entry_type is 'MARKET, LIMIT or STOP; NONE for all but ENTER.';
comment on column tickledger.signals.price is 'Price of a LIMIT or STOP entry; null = none.';
comment on column tickledger.signals.stop_distance is 'Stop, as a distance from the fill in price units; null = none.';
comment on column tickledger.signals.target_distance is 'Target, as a distance from the fill in price units; null = none.';
comment on column tickledger.signals.trail_long is 'Trailing level of a long, a price; null = none.';
comment on column tickledger.signals.trail_short is 'Trailing level of a short, a price; null = none.';
comment on column tickledger.signals.breakeven_at is 'Stop to the entry once so many stop distances are gained; null = never.';
comment on column tickledger.signals.partial_at is 'Part of it is closed once so many stop distances are gained; null = never.';
comment on column tickledger.signals.partial_share is 'Share of the volume that is closed there; null = none.';
comment on column tickledger.signals.model is 'Version of the model that decided; empty = none.';
comment on column tickledger.signals.message is 'For FAILED: what was raised.';
comment on column tickledger.signals.key_id is 'The key of the ring that made the MAC.';
comment on column tickledger.signals.mac is 'MAC of the record, 16 bytes.';

create table tickledger.signals_default partition of tickledger.signals default;
comment on table tickledger.signals_default is 'Signals of times before 1970 or after 2099.';

create index signals_time on tickledger.signals (listing_id, time);
