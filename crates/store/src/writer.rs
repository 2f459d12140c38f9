//! A task that writes: the only one on SQLite, one of a few on PostgreSQL, where one group is prepared while another
//! waits for the disk; all requests of a session go to the same. It takes every request that waits, up to a bound, into one transaction, so that
//! one flush to the disk serves many (group commit). A request is answered when it is durable.

#[cfg(feature = "postgres")]
use crate::dialect::locks::Wanted;
use crate::dialect::{Connection, Pool};
use crate::failure::Failure;
use crate::group::{Change, Group, Known, Mode, Ran, SnapshotChange};
use crate::transaction::Turn;
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, InUse, NewSession, SessionRow, SnapshotWrite,
    StoreError,
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A request with the way back.
pub(crate) struct Pending<I, O> {
    input: I,
    result: Option<Result<O, StoreError>>,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

pub(crate) enum Job {
    Append(Pending<AppendRequest, Appended>),
    Create(Pending<(NewSession, Option<InUse>), CreatedSession>),
    Change(Pending<Change, SessionRow>),
    Snapshot(Pending<SnapshotChange, SnapshotWrite>),
}

/// A group is closed at so many events; what comes later waits for the next one.
const GROUP_EVENTS: usize = 4096;

impl<I, O> Pending<I, O> {
    pub(crate) fn new(input: I) -> (Self, oneshot::Receiver<Result<O, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (
            Pending {
                input,
                result: None,
                reply,
            },
            answer,
        )
    }

    fn answer(self) {
        // Without a result the task was torn down in the middle. A caller that is gone doesn't want it.
        drop(
            self.reply
                .send(self.result.unwrap_or(Err(StoreError::Closed))),
        );
    }
}

/// Keeps a request's answer until the commit.
async fn keep<O>(
    result: &mut Option<Result<O, StoreError>>,
    ran: impl Future<Output = Ran<O>>,
) -> Result<(), sqlx::Error> {
    *result = Some(ran.await?);
    Ok(())
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Job::Append(append) => append.input.events.len(),
            _ => 1,
        }
    }

    async fn run(&mut self, group: &mut Group<'_>) -> Result<(), sqlx::Error> {
        match self {
            Job::Append(job) => keep(&mut job.result, group.append(&job.input)).await,
            Job::Create(job) => {
                keep(
                    &mut job.result,
                    group.create(&job.input.0, job.input.1.as_ref()),
                )
                .await
            }
            Job::Change(job) => keep(&mut job.result, group.change(&job.input)).await,
            Job::Snapshot(job) => keep(&mut job.result, group.write_snapshot(&job.input)).await,
        }
    }

    fn refuse(&mut self, error: StoreError) {
        match self {
            Job::Append(job) => job.result = Some(Err(error)),
            Job::Create(job) => job.result = Some(Err(error)),
            Job::Change(job) => job.result = Some(Err(error)),
            Job::Snapshot(job) => job.result = Some(Err(error)),
        }
    }

    fn answer(self) {
        match self {
            Job::Append(job) => job.answer(),
            Job::Create(job) => job.answer(),
            Job::Change(job) => job.answer(),
            Job::Snapshot(job) => job.answer(),
        }
    }
}

/// Works until all senders are gone and the queue is empty. A group that takes longer than `patience` is given
/// up, together with its connection.
pub(crate) async fn run(
    pool: Pool,
    turn: Turn,
    failure: Failure,
    patience: Option<Duration>,
    mut queue: mpsc::Receiver<Job>,
) {
    let mut known = Known::default();
    while let Some(first) = queue.recv().await {
        let mut events = first.weight();
        let mut jobs = vec![first];
        while events < GROUP_EVENTS {
            let Ok(job) = queue.try_recv() else { break };
            events += job.weight();
            jobs.push(job);
        }
        let turn_taken = turn.take().await;
        known.forget_rows_unless(turn.others());
        match (pool.acquire().await, patience) {
            (Ok(mut connection), None) => {
                write(&mut connection, &mut known, &failure, &mut jobs).await;
            }
            (Ok(connection), Some(patience)) => {
                write_within(patience, connection, &mut known, &failure, &mut jobs).await;
            }
            (Err(error), _) => {
                // Whoever has come meanwhile has waited, too: a database that is away is said to all at once.
                while let Ok(job) = queue.try_recv() {
                    jobs.push(job);
                }
                refuse_all(&mut jobs, &failure.of(&error));
            }
        }
        drop(turn_taken);
        jobs.into_iter().for_each(Job::answer);
        // Whoever was answered and has more asks now, so that the next group takes all of them.
        tokio::task::yield_now().await;
    }
}

async fn write_within(
    patience: Duration,
    mut connection: Connection,
    known: &mut Known,
    failure: &Failure,
    jobs: &mut [Job],
) {
    let writing = write(&mut connection, known, failure, jobs);
    if tokio::time::timeout(patience, writing).await.is_err() {
        // Whether it is stored is unknown; event ids make a second try safe.
        connection.discard();
        *known = Known::default();
        refuse_all(jobs, &failure.unavailable());
    }
}

/// Gives every job its result.
async fn write(
    connection: &mut Connection,
    known: &mut Known,
    failure: &Failure,
    jobs: &mut [Job],
) {
    let error = match transact(connection, known, jobs, Mode::Optimistic).await {
        Ok(()) => return,
        Err(error) if failure.is_conflict(&error) => {
            match transact(connection, known, jobs, Mode::Careful).await {
                Ok(()) => return,
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    let refused = failure.of(&error);
    let environment = !matches!(refused, StoreError::Backend(_) | StoreError::Conflict(_));
    if environment || jobs.len() == 1 {
        return refuse_all(jobs, &refused);
    }
    // One of them is at fault; each for itself, the others get through.
    for job in jobs {
        if let Err(error) =
            transact(connection, known, std::slice::from_mut(job), Mode::Careful).await
        {
            job.refuse(failure.of(&error));
        }
    }
}

async fn transact(
    connection: &mut Connection,
    known: &mut Known,
    jobs: &mut [Job],
    mode: Mode,
) -> Result<(), sqlx::Error> {
    let done = async {
        let mut group = Group::begin(&mut *connection, known, mode).await?;
        #[cfg(feature = "postgres")]
        if !group.is_alone() {
            group.lock(&wanted(jobs)).await?;
        }
        for job in jobs {
            job.run(&mut group).await?;
        }
        group.commit().await
    };
    let done = done.await;
    if done.is_err() {
        // Some errors have ended the transaction by themselves; then this one fails, which is fine.
        let _ = connection.run("ROLLBACK").await;
    }
    done
}

/// The rows that these jobs need.
#[cfg(feature = "postgres")]
fn wanted(jobs: &[Job]) -> Wanted<'_> {
    let mut wanted = Wanted::default();
    for job in jobs {
        match job {
            Job::Append(job) => wanted.session(&job.input.key),
            Job::Create(job) => wanted.new_session(&job.input.0),
            Job::Change(job) => wanted.session(&job.input.key),
            Job::Snapshot(job) => wanted.session(&job.input.key),
        }
    }
    wanted
}

fn refuse_all(jobs: &mut [Job], error: &StoreError) {
    for job in jobs {
        job.refuse(error.clone());
    }
}
