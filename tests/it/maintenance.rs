//! `uptime maintenance`, and how a window shows where monitors are looked at.

use crate::session::{Scene, sessions};

const NIGHT: &str = "\n[maintenance.night]\nmonitors = [\"shop\"]\nhours = \"00:00-24:00\"\n";

/// With a monitor of the group `web` and another, and with more in the file that is not applied yet.
fn two_monitors(more: &str) -> Scene {
    let file = "[monitors.shop]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\ngroup = \"web\"\nchannels = []\n\n\
                [monitors.blog]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\nchannels = []\n";
    let scene = Scene::bare(file);
    scene.installation.write(&format!("{file}{more}"));
    scene
}

sessions! { "maintenance":
    a_monitor_in_a_window_says_so_until_it_is_over on two_monitors("");
    the_files_windows_come_and_go_with_it on two_monitors(NIGHT);
    what_is_wrong_is_said_with_the_way_out on two_monitors("");
}
