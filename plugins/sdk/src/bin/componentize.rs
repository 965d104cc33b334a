//! Makes a component of a plugin that cargo has built for `wasm32-unknown-unknown`: `componentize FROM TO`.
//!
//! The core module bears the interface it was compiled against in a custom section. The component is checked as a
//! whole, so that what is written can be loaded. Called by `.ci/plugins`.

use std::io::{Error, ErrorKind};
use wit_component::ComponentEncoder;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: componentize MODULE COMPONENT"));
    };
    let module = std::fs::read(&from)?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Error::other(format!("`{}` makes no component: {error:#}", from.display())))?;
    std::fs::write(to, component)
}
