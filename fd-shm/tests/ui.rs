//! What must not compile, each with what the compiler says. `TRYBUILD=overwrite` records it.

#[test]
fn what_is_unsound_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
