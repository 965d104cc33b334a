//! The component's side of a [`Notifier`]: the raw interface on the outside, the trait on the inside.

use crate::bindings::exports::uptime::notifier::notifier::Guest;
use crate::{Delivery, Description, Event, Notifier, NotifyError, Problem, Receipt, Setting, Settings};
use std::marker::PhantomData;

/// Exports `N`.
pub struct Adapter<N>(PhantomData<N>);

impl<N: Notifier> Guest for Adapter<N> {
    fn describe() -> Description {
        N::describe()
    }

    fn validate(settings: Vec<Setting>) -> Vec<Problem> {
        report_panics();
        N::validate(&Settings::from(settings))
    }

    fn notify(settings: Vec<Setting>, event: Event, delivery: Delivery) -> Result<Receipt, NotifyError> {
        report_panics();
        N::notify(&Settings::from(settings), &event, &delivery, &mut crate::host::Imports)
    }
}

/// A panic ends in a bare trap; its words go to the host's log, or nobody would ever read them.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        crate::Host::log(&mut crate::host::Imports, crate::Level::Error, &panic.to_string());
    }));
}
