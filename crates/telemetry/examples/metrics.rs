//! Prints the reference page of all metrics, for `cargo xtask generate`.

fn main() {
    print!("{}", telemetry::catalogue::markdown());
}
