-- Channels as a delivery needs them.
SELECT id, name, notifier, enabled, settings, learned, filter, allow, limits, proxy, broken_at, broken_reason, paused_until, delivered_at, failing_since FROM channels
ORDER BY name
