-- Each queue that holds something, has a worker or is paused, and those of $1. From one queue to the next by the index: a
-- backlog is not read.
WITH RECURSIVE waiting AS (
  (SELECT queue FROM jobs ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT j.queue FROM jobs j WHERE j.queue > w.queue ORDER BY j.queue LIMIT 1)
  FROM waiting w WHERE w.queue IS NOT NULL),
failed AS (
  (SELECT queue FROM failed_jobs ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT f.queue FROM failed_jobs f WHERE f.queue > w.queue ORDER BY f.queue LIMIT 1)
  FROM failed w WHERE w.queue IS NOT NULL)
SELECT queue FROM (
  SELECT unnest($1::text[]) AS queue
  UNION SELECT queue FROM waiting
  UNION SELECT queue FROM failed
  UNION SELECT queue FROM workers WHERE seen_at > now() - make_interval(secs => $2)
  UNION SELECT queue FROM queue_controls WHERE paused_at IS NOT NULL) known
WHERE queue IS NOT NULL
ORDER BY queue
