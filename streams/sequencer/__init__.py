"""The sequencer: puts what reaches an account into the one order, its journal (docs/sequencer.md).

- `scope.py` what of the log concerns the account, `place.py` where its journal stands, by marks
- `inputs.py` signals, executions, commands and reference, through accept(); `ends.py` where they are first read from
- `quotes.py` the newest quotes, second by second, from `ticks`
- `taken_clock.py` the time at which things are taken, `journal.py` the entries as they are written
- `owed_halt.py` a halt that the log hasn't yet
- `sequencer.py` one epoch of it all, `__main__.py` the service
"""
