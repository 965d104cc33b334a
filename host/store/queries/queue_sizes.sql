-- What is in each queue: the named ones ($1), and with none named all that there are.
SELECT q.queue,
       count(j.id) FILTER (WHERE j.reserved_until IS NULL AND j.available_at <= now()) AS ready,
       count(j.id) FILTER (WHERE j.reserved_until IS NULL AND j.available_at > now()) AS delayed,
       count(j.id) FILTER (WHERE j.reserved_until IS NOT NULL) AS reserved,
       (SELECT count(*) FROM failed_jobs f WHERE f.queue = q.queue) AS failed,
       (extract(epoch FROM now() - min(j.available_at) FILTER (WHERE j.reserved_until IS NULL AND j.available_at <= now())) * 1000)::bigint
         AS oldest_wait_ms,
       -- Over this minute so far and the one before it.
       (SELECT (coalesce(sum(finished), 0) / (60 + extract(second FROM now())))::double precision FROM queue_throughput t
        WHERE t.queue = q.queue AND t.minute_at >= date_trunc('minute', now()) - interval '1 minute') AS per_second
FROM (SELECT unnest($1::text[]) AS queue
      UNION SELECT DISTINCT queue FROM jobs WHERE $2
      UNION SELECT DISTINCT queue FROM failed_jobs WHERE $2) q
LEFT JOIN jobs j ON j.queue = q.queue
GROUP BY q.queue
ORDER BY q.queue
