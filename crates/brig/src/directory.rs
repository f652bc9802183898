//! The directory: who can be found by handle and name. Embedded: prefixes of folded names as plain rows, written as
//! effects of the accounts' commits, so that a change of handle or name is in the directory when it is acknowledged.

use federation_api::Contact;
use public_api::user::AccountStatus;
use store::Commit;
use types::{Handle, UserId};

use crate::{
    Account, Brig, limits,
    rules::search::{Document, Search},
    tables::DIRECTORY,
    trouble::Trouble,
};

/// Stages what a change of an account changes in the directory.
pub(crate) fn list(commit: &mut Commit, user: UserId, before: Option<&Account>, after: &Account) {
    let before = before.and_then(|account| Document::of(user, account));
    let after = Document::of(user, after);
    if before == after {
        return;
    }
    let places = after.as_ref().map(Document::places).unwrap_or_default();
    for (prefix, rank) in before.as_ref().map(Document::places).unwrap_or_default() {
        if places.get(&prefix) != Some(&rank) {
            commit.effect_delete(&DIRECTORY, &prefix, &(rank.code(), user));
        }
    }
    if let Some(document) = &after {
        for (prefix, rank) in places {
            commit.effect_put(&DIRECTORY, &prefix, &(rank.code(), user), document);
        }
    }
}

/// Adds hits to those that are there, each user once, up to a number in all.
pub(crate) fn append(contacts: &mut Vec<Contact>, found: Vec<Contact>, most: usize) {
    for contact in found {
        if contacts.len() >= most {
            break;
        }
        if contacts.iter().all(|there| there.qualified_id != contact.qualified_id) {
            contacts.push(contact);
        }
    }
}

impl Brig {
    /// The user whose handle is exactly that, read from the account and not from the directory. Who does not want to
    /// be searched for is not found.
    pub(crate) async fn exact_handle(&self, term: &str) -> Result<Option<Contact>, Trouble> {
        let Ok(handle) = term.parse::<Handle>() else { return Ok(None) };
        let found = self.by_handle(&handle).await?;
        let visible = found.filter(|(_, account)| {
            let there = matches!(account.status, AccountStatus::Active | AccountStatus::Suspended);
            there && account.searchable
        });
        Ok(visible.map(|(id, account)| Contact {
            qualified_id: types::Qualified::new(id, self.domain().clone()),
            name: account.name.as_str().to_owned(),
            accent_id: Some(i64::from(account.accent_id)),
            handle: account.handle.map(|handle| handle.to_string()),
            team: account.team,
            user_type: account.user_type,
        }))
    }

    /// The users that a search by name finds, best first.
    pub(crate) async fn search(&self, search: &Search) -> Result<Vec<Contact>, Trouble> {
        let Some(prefix) = search.prefix() else { return Ok(Vec::new()) };
        let rows = self.store().plain(&DIRECTORY, &prefix.to_owned());
        let scanned = rows.first(limits::SEARCH_SCAN).await?;
        let hits = search.hits(scanned.into_iter().map(|(_, row)| row.value));
        Ok(hits.into_iter().map(|document| document.contact(self.domain().clone())).collect())
    }
}
