//! The pages keep their rules, and mdBook renders them without a warning.

use std::fs;

use book::recorded::Difference;
use book::{generated, pages, render};

#[test]
fn the_pages_keep_their_rules() {
    let problems = pages::problems().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn generated_files_are_what_the_programs_make_now() {
    generated::check(Difference::from_environment()).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn the_pages_render_with_every_quotation_in_place() {
    let rendered = render::render().unwrap_or_else(|error| panic!("{error:#}"));
    let mut pages = 0;
    for entry in fs::read_dir(&rendered).expect("the rendered folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path).expect("a rendered page");
            assert!(!text.contains("{{#"), "{}: a directive was not carried out", path.display());
            pages += 1;
        }
    }
    assert!(pages > 4, "only {pages} pages in {}", rendered.display());
    assert!(
        rendered.join("searchindex.js").exists() || searchable(&rendered),
        "the book has no search index"
    );
}

/// Whether mdBook wrote a search index under its hashed name.
fn searchable(rendered: &std::path::Path) -> bool {
    let names = fs::read_dir(rendered).expect("the rendered folder").filter_map(Result::ok);
    names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("searchindex"))
}
