//! The summary: every page is in it.

use super::Page;
use crate::workspace;

/// The pages that `SUMMARY.md` does not name. (That what it names exists is a rule for links.)
pub(super) fn problems(pages: &[Page]) -> Vec<String> {
    let path = workspace::pages().join("SUMMARY.md");
    let Some(summary) = pages.iter().find(|page| page.path == path) else {
        return vec![format!("{} is missing", path.display())];
    };
    let named = |page: &Page| {
        let name = page.path.strip_prefix(workspace::pages()).unwrap_or(&page.path).display().to_string();
        summary.text.contains(&format!("({name})"))
    };
    let forgotten = pages.iter().filter(|page| page.path != path && !named(page));
    forgotten.map(|page| format!("{}: SUMMARY.md does not name it", page.name())).collect()
}
