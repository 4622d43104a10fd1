//! The picture of the chapter on who pays, from what its example printed.

use anyhow::{Result, bail};

use crate::generated::Printed;
use crate::picture::payers::{self, Payer};

/// How many pages stand for all of them.
const PAGES: usize = 16;

/// One memory that two processes have touched in turns: the row in which both have all of it.
///
/// # Errors
///
/// The example does not say so.
pub fn picture() -> Result<String> {
    let printed = Printed::by("book/examples/who_is_charged.out")?;
    let [] = printed.find("the toucher writes to every other page")?;
    let [a, b, c, d, e, f, both] =
        printed.find(r"the toucher writes to all pages +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)")?;
    if [&b, &e] != [&both, &both] || a != d {
        bail!("{}: each shows all and pays half, says the picture, and not {a} {b}, {d} {e}", printed.path);
    }
    let payers = [("creator", a, b, c), ("toucher", d, e, f)];
    let payers = payers.map(|(name, charged, resident, share)| Payer {
        name: name.into(),
        shows: [resident, share],
        charged,
    });
    // The toucher had every other page first, and the creator what was left.
    let first: Vec<_> = (0..PAGES).map(|page| (page + 1) % 2).collect();
    Ok(payers::draw(
        "Both show every page; each page has one payer, whoever touched it first",
        &payers,
        &first,
    ))
}
