//! What arrives twice, late or in another order ends where orderly delivery ends.
use super::*;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// One write of an operator: which key, and the document; None is a delete marker.
type Write = (usize, Option<u8>);

fn entry_of(revision: usize, (key, document): &Write) -> Entry {
    let operation = match document {
        Some(mark) => Operation::Put(super::document(&format!("demo:{mark}")).into()),
        None => Operation::Removed,
    };
    let revision = revision as u64;
    let written_at = Timestamp::from_unix_seconds(1_800_000_000 + revision as i64).unwrap();
    Entry { key: format!("d1.{}", NAMES[*key]), revision, written_at, operation }
}

/// The bucket after the first `n` writes.
fn snapshot_at(writes: &[Write], n: usize) -> Snapshot {
    let mut last = BTreeMap::new();
    for (index, write) in writes[..n].iter().enumerate() {
        last.insert(write.0, entry_of(index + 1, write));
    }
    let incarnation = Incarnation("i".into());
    Snapshot { incarnation, last_sequence: n as u64, entries: last.into_values().collect() }
}

/// The device: everything judged is durable at once, and everything removed is forgotten at once.
struct Device {
    book: Book,
    /// Documents that were acted on, by name, in their order.
    acted: BTreeMap<DeploymentName, Vec<u64>>,
}

impl Device {
    fn new(writes: &[Write]) -> Self {
        let mut device = Self { book: book(vec![]), acted: BTreeMap::new() };
        device.snapshot(&snapshot_at(writes, 0));
        device
    }

    fn snapshot(&mut self, snapshot: &Snapshot) {
        let judged = self.book.snapshot(snapshot);
        self.carry_out(judged);
    }

    /// `now` writes were made when it arrives.
    fn hint(&mut self, writes: &[Write], write: usize, now: usize) {
        match self.book.hint(&entry_of(write + 1, &writes[write])) {
            Some(judged) => self.carry_out(judged),
            None => self.snapshot(&snapshot_at(writes, now)),
        }
    }

    fn carry_out(&mut self, judged: Judged) {
        for record in judged.records {
            let (name, revision) = (record.name.clone(), record.revision);
            self.acted.entry(name.clone()).or_default().push(revision);
            if self.book.saved(record) == Some(Duty::Vanish) {
                self.book.forgotten(&name);
            }
        }
    }

    /// Revision and document of all that runs in the end.
    fn end(&mut self) -> BTreeMap<DeploymentName, (u64, String)> {
        assert!(!self.book.has_held() && !self.book.is_source_reset());
        let names: Vec<_> = self.book.duties().cloned().collect();
        let duties = names.into_iter().map(|name| {
            let Some(Duty::Run(wanted)) = self.book.duty(&name) else { panic!("{name} is not forgotten") };
            let revision = self.book.records[&name].revision;
            (name, (revision, wanted.digest.to_string()))
        });
        duties.collect()
    }
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    // Marks from a small set: the same document is put again now and then. The key `c` is never deleted, so
    // that there is always something: an empty snapshot is another story.
    let write = (0..NAMES.len(), prop::option::weighted(0.7, 0_u8..3))
        .prop_map(|(key, mark)| (key, if key == 2 { mark.or(Some(0)) } else { mark }));
    prop::collection::vec(write, 1..20).prop_map(|mut writes| {
        writes.insert(0, (2, Some(0)));
        writes
    })
}

proptest! {
    #[test]
    fn any_delivery_ends_where_orderly_delivery_ends_and_never_goes_back(
        writes in writes(),
        // How many more writes are made, then which of all so far is delivered, and whether a snapshot is.
        steps in prop::collection::vec((0_usize..3, any::<prop::sample::Index>(), prop::bool::weighted(0.1)), 0..60),
    ) {
        let mut orderly = Device::new(&writes);
        (0..writes.len()).for_each(|write| orderly.hint(&writes, write, write + 1));
        orderly.snapshot(&snapshot_at(&writes, writes.len()));

        let mut device = Device::new(&writes);
        let mut now = 1;
        for (more, write, whole) in steps {
            now = writes.len().min(now + more);
            if whole {
                device.snapshot(&snapshot_at(&writes, now));
            } else {
                device.hint(&writes, write.index(now), now);
            }
        }
        device.snapshot(&snapshot_at(&writes, writes.len()));
        prop_assert_eq!(device.end(), orderly.end());
        for (name, revisions) in &device.acted {
            prop_assert!(revisions.is_sorted_by(|a, b| a < b), "{} acted on {:?}", name, revisions);
        }
    }
}
