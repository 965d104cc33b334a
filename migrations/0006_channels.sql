-- The proxy that a channel's requests go through: null, the text, {"env": …} or {"file": …}.
ALTER TABLE channels ADD COLUMN proxy jsonb NOT NULL DEFAULT 'null';

-- When a provider last replaced a setting.
ALTER TABLE channels ADD COLUMN learned_at timestamptz;

-- When something was delivered first, since the channel is as it is. NULL: nobody knows whether it works.
ALTER TABLE channels ADD COLUMN delivered_at timestamptz;
UPDATE channels c SET delivered_at = (
  SELECT min(n.delivered_at) FROM notifications n WHERE n.channel_id = c.id AND n.state = 'delivered'
);
