//! `uptime notification`: every delivery, each try, and another try or none.

use crate::incident::with_an_incident;
use crate::session::{Scene, sessions};

fn with(sql: &str) -> Scene {
    let scene = with_an_incident();
    scene.installation.database.query(sql);
    scene
}

/// Of a third and a fourth notification the incident's end was told since.
const OVERTAKEN: &str = "
  INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
  SELECT gen_random_uuid(), channel_id, 1, e.event, 0, snapshot, e.state
  FROM notifications, (VALUES ('critical', 'muted'), ('reminder', 'muted'), ('up', 'delivered')) e(event, state)
  WHERE channel_id = (SELECT id FROM channels WHERE name = 'ops')";

sessions! { "notification":
    the_list_has_every_delivery_and_what_became_of_it on with_an_incident();
    what_failed_is_tried_again_by_its_id_or_its_delivery_id on with_an_incident();
    a_dry_run_says_what_would_be on with(OVERTAKEN);
    all_that_failed_or_was_muted_is_tried_again_once on with("UPDATE notifications SET state = 'muted' WHERE id = 1");
    what_is_discarded_is_told_to_nobody on with_an_incident();
    what_can_not_be_meant_is_said_so on with_an_incident();
}
