-- Failed jobs, newest first, and what they were about: of a queue ($1), with these ids ($2), at most $3. What was removed
-- meanwhile is named by its number.
SELECT f.id, f.queue, f.attempts, f.errors, f.created_at, f.failed_at,
       CASE WHEN holds_checks(f.queue) AND f.subject IS NOT NULL
            THEN 'monitor ' || coalesce(m.name, f.subject || ' (removed)')
            WHEN f.queue = 'notifications' AND f.concurrency_key IS NOT NULL
            THEN 'channel ' || coalesce(c.name, f.concurrency_key || ' (removed)')
            ELSE 'job ' || f.id END AS subject,
       n.id AS notification_id, n.event, coalesce(n.snapshot #>> '{monitor,name}', '') AS monitor, n.incident_id, n.delivery_id
FROM (SELECT id, queue, subject, concurrency_key, attempts, errors, created_at, failed_at FROM failed_jobs
      WHERE ($1::text IS NULL OR queue = $1) AND ($2::bigint[] IS NULL OR id = ANY ($2))
      ORDER BY failed_at DESC, id DESC LIMIT $3) f
LEFT JOIN monitors m ON holds_checks(f.queue) AND m.id = f.subject
LEFT JOIN channels c ON f.queue = 'notifications' AND c.id = f.concurrency_key
LEFT JOIN notifications n ON f.queue = 'notifications' AND n.id = f.subject
ORDER BY f.failed_at DESC, f.id DESC
