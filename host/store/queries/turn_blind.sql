-- The host $1 is blind, as its witnesses have it that were asked $2 seconds ago. Locks its row, so that of two workers one
-- tells; it is no news when somebody said so before, or saw since they were asked.
INSERT INTO host_network AS s (host, blind_since) VALUES ($1, now() - make_interval(secs => $2))
ON CONFLICT (host) DO UPDATE
  SET blind_since = CASE WHEN s.blind_since IS NULL AND s.seen_at >= excluded.blind_since THEN NULL
                         ELSE coalesce(s.blind_since, excluded.blind_since) END
RETURNING blind_since, now() AS now,
          -- What this very statement wrote, and not what it found.
          coalesce(blind_since = now() - make_interval(secs => $2), false) AS news
