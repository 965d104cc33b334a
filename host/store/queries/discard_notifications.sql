-- Notifications, which are locked with their jobs, are told to nobody, and with a digest its members: $3 says why. Their jobs go,
-- and their failed jobs $2.
WITH jobs_gone AS (
  DELETE FROM jobs WHERE queue = 'notifications' AND subject = ANY ($1)),
failed_gone AS (
  DELETE FROM failed_jobs WHERE id = ANY ($2))
UPDATE notifications SET state = 'discarded', last_error = concat_ws('; ', $3, last_error)
WHERE (id = ANY ($1) OR digest_id = ANY ($1)) AND state IN ('queued', 'failed')
