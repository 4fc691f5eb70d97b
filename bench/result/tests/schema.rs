//! The schema that is published is that of the types.

use std::{fs, path::Path};

#[test]
fn the_published_schema_is_that_of_the_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("result.schema.json");
    let mut wanted = serde_json::to_string_pretty(&bench_result::run::json_schema()).unwrap();
    wanted.push('\n');
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "{} is another one; BLESS=1 writes it", file.display());
}
