//! How long it takes, durable, as users have it. Run it with `--ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "it prints a measurement")]

mod place;

use place::DataDirectory;
use std::time::{Duration, Instant};
use uptime_postgres::{Options, acquire};

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let clock = Instant::now();
    let output = work();
    (clock.elapsed(), output)
}

#[test]
#[ignore = "is a measurement"]
fn cold_start_warm_acquire_and_stop() {
    println!("{:>10} {:>10} {:>10} {:>10} {:>10}", "new", "join", "stop", "start", "recover");
    for _ in 0..5 {
        let place = DataDirectory::new();
        let options = Options::new(place.data_dir());
        let (new, lease) = timed(|| acquire(&options, &|_| ()).expect("a lease"));
        let (join, second) = timed(|| acquire(&options, &|_| ()).expect("a lease"));
        second.release().expect("released");
        let (stop, _) = timed(|| lease.release().expect("released"));
        let (start, lease) = timed(|| acquire(&options, &|_| ()).expect("a lease"));
        place.kill_postmaster();
        let (recover, second) = timed(|| acquire(&options, &|_| ()).expect("a lease"));
        second.release().expect("released");
        lease.release().expect("released");
        let ms = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
        println!("{:>10} {:>10} {:>10} {:>10} {:>10}", ms(new), ms(join), ms(stop), ms(start), ms(recover));
    }
}
