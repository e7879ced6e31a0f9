"""The language of the log: schemas, events, the tick codec, chains, the catalogue; imports nothing of ours."""
