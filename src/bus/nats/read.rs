//! Snapshots of a bucket, and what follows them.
use super::bucket::{Facts, facts, subject_of, verify};
use super::calls::{Calls, error};
use super::feed::{Bodies, Feed};
use crate::bus::{ErrorKind, Followed, Result};
use crate::domain::source::{Entries, Entry, Operation, Snapshot};
use futures_util::StreamExt;
use futures_util::stream;
use std::collections::BTreeMap;
use std::time::Duration;

/// One entry: the largest document, 256 KiB, takes 10.5 s over a link of 200 kbit/s. As long as the silence that ends a
/// feed: a heartbeat would wait behind it.
const ENTRY_DEADLINE: Duration = Duration::from_secs(12);

/// See [`crate::bus::Bus::snapshot`]. The values of a device are read only when one of them changed:
/// in the long quiet times a snapshot is a list of revisions.
pub(super) async fn snapshot(
    calls: &Calls,
    bucket: &str,
    filter: &str,
    known: &BTreeMap<String, u64>,
) -> Result<Snapshot> {
    if !known.is_empty() {
        let mut revisions = read(calls, bucket, filter, Bodies::HeadersOnly).await?;
        if mark_known(&mut revisions.entries, known) {
            return Ok(revisions);
        }
    }
    let mut values = read(calls, bucket, filter, Bodies::Full).await?;
    mark_known(&mut values.entries, known);
    Ok(values)
}

/// Whether every value was known.
fn mark_known(entries: &mut [Entry], known: &BTreeMap<String, u64>) -> bool {
    let mut all = true;
    for entry in entries.iter_mut().filter(|e| matches!(e.operation, Operation::Put(_) | Operation::LeftOut))
    {
        if known.get(&entry.key) == Some(&entry.revision) {
            entry.operation = Operation::Known;
        } else {
            all = false;
        }
    }
    all
}

async fn read(calls: &Calls, bucket: &str, filter: &str, bodies: Bodies) -> Result<Snapshot> {
    let (snapshot, feed) = begin(calls, bucket, filter, bodies).await?;
    feed.close().await;
    Ok(snapshot)
}

/// See [`crate::bus::Bus::follow`].
pub(super) async fn follow(calls: &Calls, bucket: &str, filter: &str) -> Result<Followed> {
    let (snapshot, feed) = begin(calls, bucket, filter, Bodies::Full).await?;
    let changes = stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        match feed.next().await {
            Ok(delivery) => Some((Ok(delivery.entry), Some(feed))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Followed { snapshot, changes: changes.boxed() })
}

async fn begin(calls: &Calls, bucket: &str, filter: &str, bodies: Bodies) -> Result<(Snapshot, Feed)> {
    let before = facts(calls, bucket, Some(filter)).await?;
    let (mut feed, pending) = Feed::open(calls, bucket, filter, bodies).await?;
    let entries = drain(&mut feed, bucket, pending).await?;
    let after = facts(calls, bucket, Some(filter)).await?;
    complete(bucket, &before, &after, &entries)?;
    let Facts { incarnation, last_sequence, .. } = after;
    let entries = entries.into_entries();
    Ok((Snapshot { incarnation, last_sequence, entries }, feed))
}

/// Reads until the server has no more, not until the number it named at first: a key written again
/// meanwhile moves to the end, behind others that would make up the number without it.
async fn drain(feed: &mut Feed, bucket: &str, mut pending: u64) -> Result<Entries> {
    let mut entries = Entries::default();
    while pending > 0 {
        let waiting = tokio::time::timeout(ENTRY_DEADLINE, feed.next()).await;
        let Ok(delivery) = waiting else {
            let message = format!("{pending} entries did not arrive within {} s", ENTRY_DEADLINE.as_secs());
            return Err(error("snapshot", bucket, ErrorKind::Timeout, message));
        };
        let delivery = delivery?;
        pending = delivery.pending;
        entries.insert(delivery.entry);
    }
    Ok(entries)
}

/// A second opinion: what a wrong count would hide, the server's own list of subjects shows. An
/// absent key may stop a workload, so one source is not enough.
fn complete(bucket: &str, before: &Facts, after: &Facts, entries: &Entries) -> Result<()> {
    let prefix = subject_of(bucket, "");
    verify(bucket, before, after, |subject| {
        subject.strip_prefix(&prefix).is_some_and(|key| entries.contains_key(key))
    })
}

#[cfg(test)]
mod tests;
