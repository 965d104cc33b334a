//! The zoo of bad targets: every way to be bad that we know, each with the class and the very words that somebody reads
//! at night. What a change does to these words shows here.
//!
//! [`crate::check_with`] asserts of each check that it ends within its timeout and [`crate::GRACE`].

mod certificates;
mod connection;
#[cfg(target_os = "linux")]
mod crowd;
mod head_and_body;
#[cfg(target_os = "linux")]
mod ping;
mod redirects;
