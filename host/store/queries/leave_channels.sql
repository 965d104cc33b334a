-- The channels $1 are about to go. What was told through them keeps their names; what was not yet is told to nobody.
UPDATE notifications n
SET channel_name = c.name,
    state = CASE WHEN n.state IN ('queued', 'failed', 'muted') THEN 'discarded' ELSE n.state END,
    last_error = CASE WHEN n.state IN ('queued', 'failed', 'muted') THEN concat_ws('; ', 'the channel was removed', n.last_error)
                      ELSE n.last_error END
FROM channels c WHERE c.id = n.channel_id AND c.id = ANY ($1)
