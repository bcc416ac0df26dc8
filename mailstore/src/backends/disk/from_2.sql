-- What version 3 has besides: checksums of bodies (those from before have none), and what finds the next
-- hops of the queue one after the other.
BEGIN IMMEDIATE;
ALTER TABLE body ADD COLUMN sums BLOB;
CREATE INDEX IF NOT EXISTS queue_next_hop ON queue (next_hop, due);
PRAGMA user_version = 3;
COMMIT;
