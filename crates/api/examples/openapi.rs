//! Prints the operator's OpenAPI document as it is committed in `docs/schema`: `cargo run -p api --example openapi operator`.

fn main() {
    if std::env::args().nth(1).as_deref() != Some("operator") {
        eprintln!("usage: openapi operator");
        std::process::exit(2);
    }
    print!("{}", api::openapi::document());
}
