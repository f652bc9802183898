//! The way to the writer: bounded, and with a last moment up to which a commit that waits can be given up.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use crate::{CommitError, Committed, EntryId, LogRef, ReadError, engine::RawCommit, engine::Report};

/// Commits that may wait.
const COMMITS: usize = 4096;
/// Bytes of commits that may wait.
const BYTES: usize = 64 << 20;
/// Trims and rounds of housekeeping that may wait or be under way.
const JOBS: usize = 256;
/// Bytes are counted in units, so that their number fits a semaphore everywhere.
const UNIT: usize = 1024;

/// Something for the writer to do.
pub(super) enum Work {
    Commit(Waiting),
    Housekeep { budget: Duration, answer: Answer<Report> },
    Trim { log: LogRef, upto: EntryId, answer: Answer<Result<(), ReadError>> },
}

/// Where the answer to other work than a commit goes to, and its place in the queue until then.
pub(super) struct Answer<T> {
    to: oneshot::Sender<T>,
    _place: OwnedSemaphorePermit,
}

impl<T> Answer<T> {
    /// Whoever asked may have stopped waiting.
    pub(super) fn send(self, answer: T) {
        let _ = self.to.send(answer);
    }
}

/// A commit that waits for the writer.
pub(super) struct Waiting {
    pub(super) commit: Arc<RawCommit>,
    pub(super) answer: oneshot::Sender<Result<Committed, CommitError>>,
    ticket: Arc<Ticket>,
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Waiting {
    /// The writer begins with it; `false` if it was given up.
    pub(super) fn take(&self) -> bool {
        self.ticket.become_(TAKEN)
    }
}

/// Who decides about a commit: once one side has, the other cannot any more.
#[derive(Default)]
struct Ticket(AtomicU8);

const WAITS: u8 = 0;
const TAKEN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Ticket {
    fn become_(&self, state: u8) -> bool {
        self.0.compare_exchange(WAITS, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The callers' end.
pub(super) struct Queue {
    sender: Mutex<Option<mpsc::Sender<Work>>>,
    commits: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    jobs: Arc<Semaphore>,
    /// Whether waiting occupies a thread; see [`Queue::commit`].
    occupy: bool,
}

/// The writer's end.
pub(super) struct Inbox {
    pub(super) works: mpsc::Receiver<Work>,
    commits: Arc<Semaphore>,
}

impl Inbox {
    /// Commits that wait.
    pub(super) fn waiting(&self) -> usize {
        COMMITS.saturating_sub(self.commits.available_permits())
    }
}

impl Queue {
    pub(super) fn new(occupy: bool) -> (Self, Inbox) {
        let (sender, works) = mpsc::channel();
        let queue = Self {
            sender: Mutex::new(Some(sender)),
            commits: Arc::new(Semaphore::new(COMMITS)),
            bytes: Arc::new(Semaphore::new(BYTES / UNIT)),
            jobs: Arc::new(Semaphore::new(JOBS)),
            occupy,
        };
        let commits = Arc::clone(&queue.commits);
        (queue, Inbox { works, commits })
    }

    /// Nothing more is taken; what waits is still done.
    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Hands a commit to the writer and waits for the answer.
    ///
    /// A commit that the writer has not begun by the deadline is given up. One that it has begun is waited for once more
    /// as long; then its outcome is unknown.
    pub(super) async fn commit(&self, commit: &Arc<RawCommit>, deadline: Duration) -> Result<Committed, CommitError> {
        if deadline.is_zero() {
            return Err(CommitError::unavailable());
        }
        let room = self.room(commit.bytes, deadline).await.ok_or_else(CommitError::unavailable)?;
        let (answer, mut answered) = oneshot::channel();
        let ticket = Arc::new(Ticket::default());
        let waiting = Waiting { commit: Arc::clone(commit), answer, ticket: Arc::clone(&ticket), _room: room };
        if !self.send(Work::Commit(waiting)) {
            return Err(CommitError::unavailable());
        }
        // A writer that is gone without an answer broke off in the middle.
        let unknown = CommitError::OutcomeUnknown { id: commit.id };
        if self.occupy {
            // A store in memory always answers soon. Waiting on a blocking thread keeps a paused clock of tokio, as tests
            // use it, from jumping to the next timer while a commit is under way.
            let waited = tokio::task::spawn_blocking(move || answered.blocking_recv()).await;
            return waited.ok().and_then(Result::ok).unwrap_or(Err(unknown));
        }
        if let Ok(done) = timeout(deadline, &mut answered).await {
            return done.unwrap_or(Err(unknown));
        }
        if ticket.become_(GIVEN_UP) {
            return Err(CommitError::unavailable());
        }
        match timeout(deadline, answered).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) | Err(_) => Err(unknown),
        }
    }

    /// Hands other work to the writer. `None` if it is gone, if there is no room by the deadline, or if the answer does not
    /// come within as long again: the work is done all the same then.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce(Answer<T>) -> Work,
    ) -> Option<T> {
        let jobs = || Arc::clone(&self.jobs);
        let place = match jobs().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => timeout(deadline, jobs().acquire_owned()).await.ok()?.ok()?,
        };
        let (to, answered) = oneshot::channel();
        if !self.send(work(Answer { to, _place: place })) {
            return None;
        }
        if self.occupy {
            // As for commits.
            return tokio::task::spawn_blocking(move || answered.blocking_recv()).await.ok()?.ok();
        }
        timeout(deadline, answered).await.ok()?.ok()
    }

    fn send(&self, work: Work) -> bool {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return false };
        sender.send(work).is_ok()
    }

    async fn room(&self, bytes: usize, deadline: Duration) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).ok()?;
        let free =
            (Arc::clone(&self.commits).try_acquire_owned(), Arc::clone(&self.bytes).try_acquire_many_owned(units));
        if let (Ok(place), Ok(space)) = free {
            return Some((place, space));
        }
        timeout(deadline, async {
            let place = Arc::clone(&self.commits).acquire_owned().await.ok()?;
            let space = Arc::clone(&self.bytes).acquire_many_owned(units).await.ok()?;
            Some((place, space))
        })
        .await
        .ok()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{CommitId, Version};

    fn commit(bytes: usize) -> Arc<RawCommit> {
        Arc::new(RawCommit {
            id: CommitId(Uuid::from_u128(7)),
            aggregate: None,
            effects: Vec::new(),
            bodies: Vec::new(),
            appends: Vec::new(),
            now: types::Timestamp::EPOCH,
            bytes,
        })
    }

    const SOON: Duration = Duration::from_millis(20);

    /// A writer that never comes: after the deadline nothing happened, and nothing will when it comes at last.
    #[tokio::test]
    async fn what_was_given_up_is_never_begun() {
        let (queue, inbox) = Queue::new(false);
        assert_eq!(queue.commit(&commit(1), SOON).await, Err(CommitError::unavailable()));
        let Ok(Work::Commit(waiting)) = inbox.works.try_recv() else { panic!("the commit waits") };
        assert!(!waiting.take());
    }

    /// A writer that begins and does not come back.
    #[tokio::test]
    async fn what_was_begun_is_unknown_when_no_answer_comes() {
        let (queue, inbox) = Queue::new(false);
        let writer = tokio::task::spawn_blocking(move || {
            let Ok(Work::Commit(waiting)) = inbox.works.recv() else { panic!("the commit waits") };
            assert!(waiting.take());
            waiting
        });
        let asked = tokio::spawn(async move { queue.commit(&commit(1), SOON).await });
        let waiting = writer.await.unwrap();
        let unknown = CommitError::OutcomeUnknown { id: waiting.commit.id };
        assert_eq!(asked.await.unwrap(), Err(unknown));
        let late = Committed { version: Version::NEVER, appended: Vec::new(), settled: true, repeated: false };
        assert!(waiting.answer.send(Ok(late)).is_err());
    }

    fn housekeeping(answer: Answer<Report>) -> Work {
        Work::Housekeep { budget: SOON, answer }
    }

    /// Other work is bounded too, and nobody waits for it without an end.
    #[tokio::test]
    async fn a_job_waits_for_a_place_and_for_its_answer_up_to_the_deadline() {
        let (queue, inbox) = Queue::new(false);
        for _ in 0..JOBS {
            assert!(queue.ask(Duration::ZERO, housekeeping).await.is_none(), "nobody works");
        }
        let waiting: Vec<_> = inbox.works.try_iter().collect();
        assert_eq!(waiting.len(), JOBS);
        assert!(queue.ask(SOON, housekeeping).await.is_none());
        assert!(inbox.works.try_recv().is_err(), "nothing was handed over");
        // Room comes back with the answer, whether or not somebody still waits for it.
        drop(waiting);
        let asked = tokio::spawn(async move { queue.ask(Duration::from_secs(60), housekeeping).await });
        let work = tokio::task::spawn_blocking(move || inbox.works.recv()).await.unwrap();
        let Ok(Work::Housekeep { answer, .. }) = work else { panic!("it waits") };
        answer.send(Report { rows: 7, ..Report::default() });
        assert_eq!(asked.await.unwrap().map(|report| report.rows), Some(7));
    }

    /// The queue is bounded by number and by bytes, and room comes back with the answer.
    #[tokio::test]
    async fn a_full_queue_is_unavailable_after_the_deadline() {
        for (size, fits) in [(1, COMMITS), (16 << 20, 4)] {
            let (queue, inbox) = Queue::new(false);
            let mut waiting = Vec::new();
            for _ in 0..fits {
                waiting.push(queue.room(size, SOON).await.expect("there is room"));
            }
            assert_eq!(queue.commit(&commit(size), SOON).await, Err(CommitError::unavailable()));
            assert!(inbox.works.try_recv().is_err(), "nothing was handed over");
            waiting.pop();
            assert!(queue.room(size, SOON).await.is_some());
        }
    }
}
