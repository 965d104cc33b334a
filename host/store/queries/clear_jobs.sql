-- Deletes jobs, which are locked, of the queue $2. A notification that is not to be told any more says so.
WITH gone AS (
  DELETE FROM jobs WHERE id = ANY ($1) RETURNING subject, available_at),
discarded AS (
  UPDATE notifications n SET state = 'discarded', last_error = concat_ws('; ', 'its queue was cleared', n.last_error)
  FROM gone g WHERE $2 = 'notifications' AND n.id = g.subject AND n.state = 'queued')
SELECT count(*) FILTER (WHERE available_at <= now()) AS ready, count(*) FILTER (WHERE available_at > now()) AS delayed FROM gone
