"""The desk at work: a service that folds the journals of accounts; `python -m streams.desk_service`.

- `partition.py` one partition of `journal`: accept(), fold, outputs, states
- `driver.py` what is due when: loading, catching up, snapshots, acknowledgements
- `delivery.py` how far what an account's desk said is delivered, for its mark
"""
