//! Prints a file's JSON Schema as it is committed in `docs/schema`: `cargo run -p spec --example schema cluster`.

fn main() {
    let schema = match std::env::args().nth(1).as_deref() {
        Some("cluster") => spec::cluster::json_schema(),
        Some("cortex") => spec::realtime::json_schema(),
        _ => {
            eprintln!("usage: schema cluster|cortex");
            std::process::exit(2);
        }
    };
    println!("{schema:#}");
}
