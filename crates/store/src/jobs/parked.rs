//! Jobs that failed too often, for the operator.

use std::{fmt, str::FromStr};

use types::Timestamp;

use super::{
    rules,
    tables::{DUE, JOB, JobRow, PARKED, REVIVED, SHARD, State},
};
use crate::{Commit, CommitError, Corrupt, ReadError, Store, limits};

/// Names a job: its shard and the key of its entry. As text `2-0190ab…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    shard: u8,
    key: Vec<u8>,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.shard)?;
        self.key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for JobId {
    type Err = Corrupt;

    fn from_str(text: &str) -> Result<Self, Corrupt> {
        let wrong = Corrupt("no id of a job");
        let (shard, key) = text.split_once('-').ok_or(wrong)?;
        let shard = shard.parse().ok().filter(|shard| *shard < limits::JOB_SHARDS).ok_or(wrong)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(wrong);
        if key.len() % 2 != 0 || key.len() > 2 * limits::KEY {
            return Err(wrong);
        }
        let pairs = key.as_bytes().chunks_exact(2);
        let key = pairs.map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect::<Result<_, Corrupt>>()?;
        Ok(Self { shard, key })
    }
}

/// A job that failed too often and waits for the operator.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedJob {
    /// Its id.
    pub id: JobId,
    /// The name of its kind.
    pub kind: String,
    /// Its arguments.
    pub args: serde_json::Value,
    /// What the last failure was.
    pub error: String,
    /// When it was taken in.
    pub since: Timestamp,
}

impl Store {
    /// The jobs that failed too often, at most `most` of each shard.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn parked_jobs(&self, most: usize) -> Result<Vec<ParkedJob>, ReadError> {
        let mut parked = Vec::new();
        for shard in 0..limits::JOB_SHARDS {
            for (key, _) in self.plain(&PARKED, &shard).first(most).await? {
                let id = JobId { shard, key };
                if let Some(row) = self.parked(&id).await? {
                    parked.push(ParkedJob {
                        id,
                        kind: row.kind,
                        args: row.args,
                        error: row.error.unwrap_or_default(),
                        since: Timestamp::from_micros(row.since),
                    });
                }
            }
        }
        Ok(parked)
    }

    /// Has a parked job tried again from where it was, at once. `false` if it is not parked.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn revive_job(&self, id: &JobId) -> Result<bool, CommitError> {
        for attempt in 1.. {
            // Of two who do this at once the second finds it done: what was revived may have been run meanwhile.
            let shard = self.view(SHARD.of(&id.shard)).await?;
            if shard.get(&REVIVED, &id.key).await?.is_some() {
                return Ok(false);
            }
            let Some(row) = self.parked(id).await? else { return Ok(false) };
            let mut commit = Commit::on(&shard);
            commit.put(&REVIVED, &id.key, &());
            commit.effect_delete(&PARKED, &id.shard, &id.key);
            commit.effect_put(&JOB, &id.shard, &id.key, &rules::revived(row));
            commit.effect_put(&DUE, &id.shard, &(self.clock().now(), id.key.clone()), &());
            match self.commit_surely(commit).await {
                Err(CommitError::Conflict) if attempt < limits::UPDATE_TRIES => self.pause(attempt).await,
                done => return done.map(|()| true),
            }
        }
        Ok(false)
    }

    async fn parked(&self, id: &JobId) -> Result<Option<JobRow>, ReadError> {
        let row = self.plain(&JOB, &id.shard).get(&id.key).await?;
        Ok(row.map(|row| row.value).filter(|row| row.state == State::Parked))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_read_as_they_are_written(shard in 0..limits::JOB_SHARDS, key: Vec<u8>) {
            let id = JobId { shard, key };
            prop_assume!(id.key.len() <= limits::KEY);
            prop_assert_eq!(id.to_string().parse::<JobId>().ok(), Some(id));
        }

        #[test]
        fn no_text_is_too_odd(text in "[0-9]{0,3}-?[0-9a-fé]{0,8}") {
            let _ = text.parse::<JobId>();
        }
    }
}
