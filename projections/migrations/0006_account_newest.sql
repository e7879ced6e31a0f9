-- What the page asks several times a second must not cost more the longer the log is; and what is newest is so by
-- time: the numbers of a desk's records begin anew with each activation.

create index account_records_kind on tickledger.account_records (account_id, topic, kind, time) where topic <> 'journal';
create index account_records_signal on tickledger.account_records (account_id, tickledger.signal_id(body))
    where kind in ('RiskDecision', 'Denied');

create or replace view tickledger.orders as
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

create or replace view tickledger.positions as
select p.time, accounts.name as account, p.position, p.order_no, p.listing, p.body->>'instance' as instance,
    p.body->>'side' as side, (p.body->>'volume')::float8 as volume, (p.body->>'price')::float8 as price,
    (p.body->>'sl')::float8 as sl, (p.body->>'tp')::float8 as tp, (p.body->>'realized')::numeric as realized,
    to_timestamp(((p.body->>'opened_us')::numeric) / 1000000) as opened, p.body->>'cause' as cause, p.seq,
    p.log_partition, p.log_offset
from (
    select distinct on (account_id, position) * from tickledger.account_records
    where topic = 'portfolio' and kind = 'PositionChanged' order by account_id, position, time desc, seq desc
) p join tickledger.accounts on accounts.id = p.account_id;
