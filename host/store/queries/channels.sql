-- Channels as a delivery needs them; which ones, the caller says behind it.
SELECT id, name, notifier, enabled, settings, learned, filter, allow, limits, proxy, broken_at, broken_reason, paused_until, delivered_at, failing_since FROM channels
