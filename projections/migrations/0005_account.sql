-- What an account's topics have: the journal, what the venue and people said, and what the desk decided.
--
-- One table of records, each with its fields as its schema has them, and a view a kind of question. An account has
-- some hundred records an hour besides a clock a second; months are partitions, as of ticks.

create table tickledger.accounts (
    id   integer generated always as identity primary key,
    name text not null unique
);
comment on table tickledger.accounts is 'Accounts met on the log. Ids are handed out in order of arrival.';
comment on column tickledger.accounts.id is 'Stands for the name in the large tables.';
comment on column tickledger.accounts.name is 'Name of the account, as in AccountConfig.';

create table tickledger.account_records (
    time          timestamptz not null,
    seq           bigint      not null,
    log_offset    bigint      not null,
    order_no      bigint,
    position      bigint,
    account_id    integer     not null,
    operator_id   integer     not null,
    log_partition smallint    not null,
    topic         text        not null,
    kind          text        not null,
    listing       text        not null,
    body          jsonb       not null,
    primary key (account_id, topic, operator_id, seq, time)
) partition by range (time);
comment on table tickledger.account_records is 'Every record taken from journal, executions, commands, orders, fills, risk and portfolio.';
comment on column tickledger.account_records.time is 'When the journal took what it follows from; of a fact when it was written, of a journal entry when it was taken. UTC.';
comment on column tickledger.account_records.seq is 'Of a fact its link in the account''s chain, of what the desk derived its number on the topic.';
comment on column tickledger.account_records.log_offset is 'Its offset in the partition of its topic.';
comment on column tickledger.account_records.order_no is 'Number of the order that it is about, MT5''s magic; null = none.';
comment on column tickledger.account_records.position is 'Position that it is about; null = none.';
comment on column tickledger.account_records.account_id is 'accounts.id.';
comment on column tickledger.account_records.operator_id is 'operators.id of the desk; 0 for facts.';
comment on column tickledger.account_records.log_partition is 'Its partition, the same on all of the account''s topics.';
comment on column tickledger.account_records.topic is 'Topic that it lies on.';
comment on column tickledger.account_records.kind is 'Name of its schema; of a journal entry its kind.';
comment on column tickledger.account_records.listing is 'feed/SYMBOL; empty = none.';
comment on column tickledger.account_records.body is 'Its fields by the names of its schema; bytes in hexadecimal, money as text. Without the bytes that a journal entry took: those are on the topic that it names.';

create table tickledger.account_records_default partition of tickledger.account_records default;
comment on table tickledger.account_records_default is 'Records of times before 1970 or after 2099.';

create index account_records_time on tickledger.account_records (topic, time);
create index account_records_order on tickledger.account_records (account_id, order_no, topic, seq) where order_no is not null;
create index account_records_position on tickledger.account_records (account_id, position, topic, seq) where position is not null;
create index account_records_kind on tickledger.account_records (account_id, topic, kind, time) where topic <> 'journal';

create table tickledger.account_marks (
    operator_id integer not null,
    topic       text    not null,
    account_id  integer not null,
    next_out    bigint  not null,
    primary key (operator_id, topic, account_id)
);
comment on table tickledger.account_marks is 'Of each desk, topic and account the number due next.';
comment on column tickledger.account_marks.operator_id is 'operators.id.';
comment on column tickledger.account_marks.topic is 'orders, fills, risk or portfolio.';
comment on column tickledger.account_marks.account_id is 'accounts.id.';
comment on column tickledger.account_marks.next_out is 'out_seq of the next record.';

create function tickledger.signal_id(body jsonb) returns text language sql immutable as $$
    select case when body->>'signal_operator' <> '' then
        (body->>'signal_operator') || '/' || (body->>'signal_listing') || '/' || (body->>'signal_seq') end
$$;
comment on function tickledger.signal_id is 'Id of the signal that a record names; null = none.';

-- What is newest is so by time: the numbers of a desk's records begin anew with each activation.
create index account_records_signal on tickledger.account_records (account_id, tickledger.signal_id(body))
    where kind in ('RiskDecision', 'Denied');

create view tickledger.orders as
select o.time, accounts.name as account, o.order_no, o.listing, o.body->>'instance' as instance,
    o.body->>'purpose' as purpose, o.body->>'type' as type, o.body->>'side' as side,
    (o.body->>'volume')::float8 as volume, (o.body->>'price')::float8 as price, (o.body->>'sl')::float8 as sl,
    (o.body->>'tp')::float8 as tp, coalesce(s.body->>'state', 'SUBMITTED') as state,
    coalesce((s.body->>'filled')::float8, 0) as filled, s.time as changed, s.body->>'cause' as cause,
    o.body->>'reason' as reason, (o.body->>'retry')::bigint as retry,
    (o.body->>'decision_n')::bigint as decision_n, (o.body->>'decision_bid')::float8 as decision_bid,
    (o.body->>'decision_ask')::float8 as decision_ask, tickledger.signal_id(o.body) as signal, o.seq,
    o.log_partition, o.log_offset
from tickledger.account_records o join tickledger.accounts on accounts.id = o.account_id
left join lateral (
    select c.body, c.time from tickledger.account_records c
    where c.account_id = o.account_id and c.order_no = o.order_no and c.topic = 'orders' and c.kind = 'OrderChanged'
    order by c.time desc, c.seq desc limit 1
) s on true
where o.topic = 'orders' and o.kind = 'Submitted';
comment on view tickledger.orders is 'Orders, each with the state that it has now.';

create view tickledger.fills as
select operators.name || '/' || accounts.name || '/' || f.seq as id, f.time, accounts.name as account, f.order_no,
    f.listing, f.body->>'instance' as instance, (f.body->>'deal')::bigint as deal, f.position,
    f.body->>'side' as side, f.body->>'entry' as entry, f.body->>'reason' as reason,
    (f.body->>'volume')::float8 as volume, (f.body->>'price')::float8 as price,
    to_timestamp(((f.body->>'time_ms')::numeric) / 1000) as venue_time, (f.body->>'n')::bigint as n,
    (f.body->>'bid')::float8 as bid, (f.body->>'ask')::float8 as ask,
    (f.body->>'decision_price')::float8 as decision_price,
    (f.body->>'slippage_points')::float8 as slippage_points, (f.body->>'spread_points')::float8 as spread_points,
    (f.body->>'commission')::numeric as commission, (f.body->>'swap')::numeric as swap,
    (f.body->>'profit')::numeric as profit, (f.body->>'spread_cost')::numeric as spread_cost,
    (f.body->>'slippage_cost')::numeric as slippage_cost, tickledger.signal_id(f.body) as signal, f.seq,
    f.log_partition, f.log_offset
from tickledger.account_records f join tickledger.accounts on accounts.id = f.account_id
join tickledger.operators on operators.id = f.operator_id
where f.topic = 'fills';
comment on view tickledger.fills is 'Deals matched to their orders, signals and decision prices.';

create view tickledger.decisions as
select d.time, accounts.name as account, d.listing, d.body->>'instance' as instance, d.body->>'side' as side,
    case when d.kind = 'Denied' then 'DENIED' else d.body->>'verdict' end as verdict,
    coalesce(d.body->>'code', n.body->>'code', '') as code, coalesce(d.body->>'reason', n.body->>'reason', '') as reason,
    (d.body->>'asked')::float8 as asked, (d.body->>'allowed')::float8 as allowed,
    (d.body->>'equity')::numeric as equity, (d.body->>'margin')::numeric as margin,
    case when d.kind = 'RiskDecision' then (
        select coalesce(jsonb_agg(jsonb_build_object('check', c, 'limit', d.body->'limits'->(i - 1)::int,
            'measured', d.body->'measured'->(i - 1)::int, 'unit', d.body->'units'->(i - 1)::int,
            'verdict', d.body->'verdicts'->(i - 1)::int) order by i), '[]'::jsonb)
        from jsonb_array_elements_text(d.body->'checks') with ordinality as checks(c, i)
    ) else '[]'::jsonb end as checks,
    tickledger.signal_id(d.body) as signal, d.topic, d.seq, d.log_partition, d.log_offset
from tickledger.account_records d join tickledger.accounts on accounts.id = d.account_id
left join lateral (
    select x.body from tickledger.account_records x
    where x.account_id = d.account_id and x.topic = 'orders' and x.kind = 'Denied' and x.time = d.time
      and tickledger.signal_id(x.body) = tickledger.signal_id(d.body)
    limit 1
) n on d.kind = 'RiskDecision'
where d.topic = 'risk' and d.kind = 'RiskDecision'
   or d.topic = 'orders' and d.kind = 'Denied' and not exists (
        select from tickledger.account_records r
        where r.account_id = d.account_id and r.topic = 'risk' and r.kind = 'RiskDecision' and r.time = d.time
          and tickledger.signal_id(r.body) = tickledger.signal_id(d.body));
comment on view tickledger.decisions is 'What was decided on each candidate entry, with every check.';

create view tickledger.positions as
select p.time, accounts.name as account, p.position, p.order_no, p.listing, p.body->>'instance' as instance,
    p.body->>'side' as side, (p.body->>'volume')::float8 as volume, (p.body->>'price')::float8 as price,
    (p.body->>'sl')::float8 as sl, (p.body->>'tp')::float8 as tp, (p.body->>'realized')::numeric as realized,
    to_timestamp(((p.body->>'opened_us')::numeric) / 1000000) as opened, p.body->>'cause' as cause, p.seq,
    p.log_partition, p.log_offset
from (
    select distinct on (account_id, position) * from tickledger.account_records
    where topic = 'portfolio' and kind = 'PositionChanged' order by account_id, position, time desc, seq desc
) p join tickledger.accounts on accounts.id = p.account_id;
comment on view tickledger.positions is 'Positions as they are now; volume 0: closed.';

create view tickledger.equity as
select e.time, accounts.name as account, to_timestamp(((e.body->>'minute_ms')::numeric) / 1000) as minute,
    (e.body->>'balance')::numeric as balance, (e.body->>'equity')::numeric as equity,
    (e.body->>'margin')::numeric as margin, (e.body->>'peak')::numeric as peak,
    (e.body->>'positions')::bigint as positions, e.seq, e.log_partition, e.log_offset
from tickledger.account_records e join tickledger.accounts on accounts.id = e.account_id
where e.topic = 'portfolio' and e.kind = 'EquityMarked';
comment on view tickledger.equity is 'Accounts at whole minutes while something is held.';

create view tickledger.pnl as
select p.time, accounts.name as account, p.order_no, p.position, p.listing, p.body->>'instance' as instance,
    p.body->>'side' as side, (p.body->>'volume')::float8 as volume,
    to_timestamp(((p.body->>'opened_us')::numeric) / 1000000) as opened,
    to_timestamp(((p.body->>'closed_us')::numeric) / 1000000) as closed,
    (p.body->>'entry_price')::float8 as entry_price, (p.body->>'exit_price')::float8 as exit_price,
    p.body->>'reason' as reason, (p.body->>'gross')::numeric as gross, (p.body->>'spread')::numeric as spread,
    (p.body->>'slippage')::numeric as slippage, (p.body->>'commission')::numeric as commission,
    (p.body->>'swap')::numeric as swap, (p.body->>'net')::numeric as net, p.seq, p.log_partition, p.log_offset
from tickledger.account_records p join tickledger.accounts on accounts.id = p.account_id
where p.topic = 'portfolio' and p.kind = 'PnlAttributed';
comment on view tickledger.pnl is 'What each closed part of a position earned, and what it went into.';

create view tickledger.executions as
select x.time, accounts.name as account, x.seq, x.kind, x.order_no, x.body->>'request' as request,
    (x.body->>'ticket')::bigint as ticket, (x.body->>'deal')::bigint as deal, x.position, x.listing,
    x.body->>'side' as side, x.body->>'entry' as entry, x.body->>'state' as state,
    (x.body->>'volume')::float8 as volume, (x.body->>'remaining')::float8 as remaining,
    (x.body->>'price')::float8 as price, (x.body->>'sl')::float8 as sl, (x.body->>'tp')::float8 as tp,
    (x.body->>'commission')::numeric as commission, (x.body->>'swap')::numeric as swap,
    (x.body->>'profit')::numeric as profit, (x.body->>'retcode')::bigint as retcode, x.body->>'reason' as reason,
    to_timestamp(((x.body->>'time_ms')::numeric) / 1000) as venue_time, x.log_partition, x.log_offset
from tickledger.account_records x join tickledger.accounts on accounts.id = x.account_id
where x.topic = 'executions';
comment on view tickledger.executions is 'What the venue did with orders.';

create view tickledger.journal as
select j.time, accounts.name as account, j.seq, j.kind, j.body->>'source' as source, j.body->>'stream' as stream,
    (j.body->>'stream_seq')::bigint as stream_seq, jsonb_array_length(j.body->'clock_us') as quotes,
    (j.body->>'epoch')::bigint as epoch, j.log_partition, j.log_offset
from tickledger.account_records j join tickledger.accounts on accounts.id = j.account_id
where j.topic = 'journal';
comment on view tickledger.journal is 'What reached an account, in the one order.';

create view tickledger.commands as
select c.time, accounts.name as account, c.seq, c.body->>'kind' as kind, c.body->>'who' as who, c.body->>'why' as why,
    c.body->>'argument' as argument,
    case when (c.body->>'valid_until_us')::bigint > 0
        then to_timestamp(((c.body->>'valid_until_us')::numeric) / 1000000) end as valid_until,
    c.log_partition, c.log_offset
from tickledger.account_records c join tickledger.accounts on accounts.id = c.account_id
where c.topic = 'commands';
comment on view tickledger.commands is 'What people asked of accounts.';
