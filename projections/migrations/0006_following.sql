-- What came since somebody last asked is looked for by its number in its stream (projections/streams.py), whatever its
-- time is. Bars and signals have an index of it, their primary key. Facts are followed by their numbers in the chain, the
-- journal, which has most of all rows, by nothing else.

create index account_records_link on tickledger.account_records (account_id, topic, seq);
create index account_records_place on tickledger.account_records (topic, log_partition, log_offset)
    where topic <> 'journal';

comment on column tickledger.reference.kind is 'Type of the record: ListingSpec, OperatorActivation, Repair, AccountConfig, StrategyConfig, RiskLimits or SessionTable.';
comment on column tickledger.reference.subject is 'The listing, instance, account or chain that it is about.';
