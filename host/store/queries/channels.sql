-- Channels as a delivery needs them.
SELECT id, name, notifier, enabled, settings, learned, coalesce(learned_at > now() - interval '10 minutes', false) AS learned_lately,
       filter, allow, limits, proxy, broken_at, broken_reason, paused_until, delivered_at, failing_since FROM channels
ORDER BY name
