//! The directory: who can be found by handle and name. Embedded: prefixes of folded names as plain rows, written as
//! effects of the accounts' commits, so that a change of handle or name is in the directory when it is acknowledged.

use std::{cmp::Reverse, collections::HashMap};

use federation_api::Contact;
use public_api::user::AccountStatus;
use store::{Commit, Dir, PlainRows, Store};
use types::{Handle, UserId};

use crate::{
    Account, Brig, limits,
    rules::search::{self, Document, Search},
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

/// The user whose handle is exactly what was searched for, then the others.
pub(crate) fn exact_first(exact: Option<Contact>, mut found: Vec<Contact>) -> Vec<Contact> {
    if let Some(exact) = exact {
        found.retain(|other| other.qualified_id != exact.qualified_id);
        found.insert(0, exact);
    }
    found
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

    /// The users that a search by name finds, best first, all of them if `wanted` or fewer; of more it may miss some.
    ///
    /// A user stands under each word of his name, so any word of the term leads to everybody who matches all of them.
    /// Which one leads there soonest is not known beforehand: the words are read side by side, and the first one that
    /// comes to an end has told everything.
    pub(crate) async fn search(&self, search: &Search, wanted: usize) -> Result<Vec<Contact>, Trouble> {
        let mut words: Vec<_> = search.prefixes().map(|prefix| Word::of(self.store(), prefix)).collect();
        let (mut hits, mut scanned) = (HashMap::new(), 0);
        // The least read word of them, and the longest of those: it stands under the fewest users most likely.
        while let Some(word) = words.iter_mut().min_by_key(|word| (word.read, Reverse(word.length))) {
            let documents = word.next_page().await?;
            scanned += documents.len();
            hits.extend(documents.into_iter().filter_map(|found| Some((found.id, (search.score(&found)?, found)))));
            let enough = scanned >= limits::SEARCH_LEAST && hits.len() >= wanted;
            if word.ended || enough || scanned >= limits::SEARCH_SCAN {
                break;
            }
        }
        let hits = search::ranked(hits.into_values().collect());
        Ok(hits.into_iter().map(|document| document.contact(self.domain().clone())).collect())
    }
}

/// The documents under one word of a search, read page by page.
struct Word {
    rows: PlainRows<(u8, UserId), Document>,
    length: usize,
    after: Option<(u8, UserId)>,
    read: usize,
    ended: bool,
}

impl Word {
    fn of(store: &Store, prefix: &str) -> Self {
        let rows = store.plain(&DIRECTORY, &prefix.to_owned());
        Self { rows, length: prefix.len(), after: None, read: 0, ended: false }
    }

    async fn next_page(&mut self) -> Result<Vec<Document>, Trouble> {
        let page = self.rows.range(.., Dir::Forward, limits::SEARCH_PAGE, self.after.as_ref()).await?;
        self.read += page.rows.len();
        self.ended = page.next.is_none();
        self.after = page.next;
        Ok(page.rows.into_iter().map(|(_, row)| row.value).collect())
    }
}
