//! What the bucket shows: accepted, objected to, held, confirmed.
use super::*;

impl Book {
    /// Judges a complete snapshot; nothing is acted on before the records it returns are durable.
    pub fn snapshot(&mut self, snapshot: &Snapshot) -> Judged {
        let Ruling { verdicts, held, source_reset: _, mut followed, bad_keys } =
            judge::snapshot(&self.device, &self.records, self.followed.as_ref(), snapshot);
        let mut judged = Judged { bad_keys, ..Judged::default() };
        self.believe_confirmed(snapshot, &verdicts, &held, &followed, &mut judged);
        // What goes makes room for what comes; of that the earlier written finds it, every time.
        let mut verdicts: Vec<_> = verdicts.into_iter().collect();
        verdicts.sort_by_key(|(_, verdict)| match verdict {
            Verdict::Accept(record) => record.revision,
            Verdict::Remove(_) | Verdict::Nothing | Verdict::Stale { .. } | Verdict::Unread { .. } => 0,
        });
        for (name, verdict) in verdicts {
            self.apply(name, verdict, &mut judged);
        }
        self.hold(held);
        self.forget_unfounded(snapshot, &mut judged);
        acted(&mut followed, &snapshot.entries, &judged);
        // A marker of what was not there leaves no record that tells it.
        let is_news = |before: &Followed| {
            before.incarnation != followed.incarnation || before.acted_until != followed.acted_until
        };
        if !judged.records.is_empty() || self.followed.as_ref().is_none_or(is_news) {
            judged.followed = Some(followed.clone());
        }
        self.followed = Some(followed);
        judged
    }

    /// Of records that may be older than what the disk held: those than which the bucket, the same one, has nothing
    /// newer.
    fn believe_confirmed(
        &mut self,
        snapshot: &Snapshot,
        verdicts: &BTreeMap<DeploymentName, Verdict>,
        held: &BTreeSet<DeploymentName>,
        followed: &Followed,
        judged: &mut Judged,
    ) {
        let says_nothing = |name: &&DeploymentName| {
            matches!(verdicts.get(*name), None | Some(Verdict::Nothing)) && !held.contains(*name)
        };
        let records = self.doubtful.iter().filter(says_nothing).filter_map(|name| self.records.get(name));
        let of_its_life = records.filter(|record| record.incarnation == followed.incarnation);
        // One whose value was told before says nothing, however new it is.
        let untold = snapshot.entries.iter().filter(|entry| entry.operation == Operation::Known);
        let untold: BTreeMap<_, _> = untold
            .filter_map(|entry| Some((judge::name_of(&self.device, &entry.key)?.ok()?, entry.revision)))
            .collect();
        let newest =
            of_its_life.filter(|record| untold.get(&record.name).is_none_or(|at| *at <= record.revision));
        let confirmed: Vec<Record> = newest.cloned().collect();
        confirmed.into_iter().for_each(|record| self.take(record, judged));
    }

    /// Judges one entry of a watch. `None`: only a full snapshot can tell.
    pub fn hint(&mut self, entry: &Entry) -> Option<Judged> {
        let mut judged = Judged::default();
        let name = match judge::name_of(&self.device, &entry.key) {
            None => return Some(judged),
            // That a bad key went: the snapshot lists those that are left.
            Some(Err(_)) if entry.operation == Operation::Removed => return None,
            Some(Err(key)) => {
                judged.bad_keys.push(key);
                return Some(judged);
            }
            Some(Ok(name)) => name,
        };
        let followed = self.followed.as_mut()?;
        let verdict = judge::hint(&self.records, followed, &name, entry)?;
        followed.last_sequence = followed.last_sequence.max(entry.revision);
        let unfounded = entry.operation == Operation::Removed && !self.records.contains_key(&name);
        judged.unfounded = unfounded;
        if unfounded && self.known.remove(&name).is_some() {
            self.refused.remove(&name);
            self.told.remove(&name);
            judged.gone.push(name.clone());
        }
        self.apply(name, verdict, &mut judged);
        let before = self.followed.as_ref().and_then(|followed| followed.acted_until);
        self.followed.iter_mut().for_each(|followed| acted(followed, std::slice::from_ref(entry), &judged));
        // What a record tells need not be written twice.
        let is_news = |followed: &&Followed| judged.records.is_empty() && followed.acted_until != before;
        judged.followed = self.followed.as_ref().filter(is_news).cloned();
        Some(judged)
    }

    fn apply(&mut self, name: DeploymentName, verdict: Verdict, judged: &mut Judged) {
        match verdict {
            Verdict::Nothing => {}
            Verdict::Stale { revision } => {
                let message =
                    format!("revision {revision}: older than what this device acted on; publish it again");
                self.object(name, Code::StaleRevision, message);
            }
            Verdict::Unread { revision } => {
                self.is_crowded = true;
                let Objection { code, message } = room::left_out(revision);
                self.object(name, code, message);
            }
            Verdict::Remove(record) => self.take(record, judged),
            Verdict::Accept(mut record) => match self.read(&record) {
                Err(Objection { code, message }) => self.object(name, code, message),
                Ok(wanted) => {
                    if let Some(wanted) = wanted {
                        record.ends.retain(|service, _| wanted.targets.contains_key(service));
                        record.trial.owed.retain(|service, _| wanted.targets.contains_key(service));
                    }
                    self.take(record, judged);
                }
            },
        }
    }

    /// What a document says, or why it cannot be accepted. One in quarantine was, and is not read again.
    fn read(&mut self, record: &Record) -> Result<Option<Wanted>, Objection> {
        if let Some(objection) = self.no_room(record) {
            return Err(objection);
        }
        match &record.wanted {
            ledger::Wanted::Present(document) if record.trial.quarantined.is_none() => {
                self.reading.document(record, document).map(Some)
            }
            ledger::Wanted::Present(_) | ledger::Wanted::Removed => Ok(None),
        }
    }

    fn take(&mut self, record: Record, judged: &mut Judged) {
        self.release_held(&record.name);
        self.doubtful.remove(&record.name);
        self.refused.remove(&record.name);
        self.records.insert(record.name.clone(), record.clone());
        judged.records.push(record);
    }

    fn object(&mut self, name: DeploymentName, code: Code, message: String) {
        self.release_held(&name);
        if !self.may_tell(&name) {
            return;
        }
        let message = shorten(message);
        self.refused.insert(name.clone());
        self.known.entry(name).or_default().objection = Some(Objection { code, message });
    }

    /// Marks the removals that are held now, and no others.
    fn hold(&mut self, held: BTreeSet<DeploymentName>) {
        let before: Vec<_> = self.held.difference(&held).cloned().collect();
        before.iter().for_each(|name| self.release_held(name));
        self.held = held;
        for name in self.held.clone() {
            self.refused.remove(&name);
            self.mark_held(&name);
        }
    }

    /// Says that a removal is held, whatever was wrong with a document that is gone now. Why an accepted one
    /// is in quarantine is still worth more.
    pub(super) fn mark_held(&mut self, name: &DeploymentName) {
        let Some(known) = self.known.get_mut(name).filter(|_| self.held.contains(name)) else { return };
        if known.objection.as_ref().is_none_or(|objection| objection.code != Code::Quarantined) {
            known.objection = Some(removal_held(name));
        }
    }

    fn release_held(&mut self, name: &DeploymentName) {
        let was_held = self.held.remove(name);
        if let Some(known) = self.known.get_mut(name).filter(|_| was_held)
            && known.objection.as_ref().is_some_and(|objection| objection.code == Code::RemovalHeld)
        {
            known.objection = None;
        }
    }

    /// Refused documents that were taken back leave nothing behind.
    fn forget_unfounded(&mut self, snapshot: &Snapshot, judged: &mut Judged) {
        let put = |entry: &&Entry| entry.operation != Operation::Removed;
        let named: BTreeSet<_> = snapshot
            .entries
            .iter()
            .filter(put)
            .filter_map(|e| judge::name_of(&self.device, &e.key)?.ok())
            .collect();
        let Self { known, records, told, refused, .. } = self;
        known.retain(|name, _| {
            let founded = records.contains_key(name) || named.contains(name);
            if !founded {
                refused.remove(name);
                told.remove(name);
                judged.gone.push(name.clone());
            }
            founded
        });
    }

    /// The records of held removals that an operator confirms: all of them, or none.
    pub fn confirm(&mut self, names: &[DeploymentName]) -> Result<Vec<Record>, NotConfirmed> {
        let mut confirmed = Vec::with_capacity(names.len());
        for name in names {
            if !self.known.contains_key(name) {
                return Err(NotConfirmed::Unknown(name.clone()));
            }
            let record = self.records.get(name).filter(|_| self.held.contains(name));
            let record = record.ok_or_else(|| NotConfirmed::NotHeld(name.clone()))?;
            confirmed.push(judge::confirmed(record));
        }
        for Record { name, .. } in &confirmed {
            self.doubtful.remove(name);
            self.refused.remove(name);
        }
        self.records.extend(confirmed.iter().map(|record| (record.name.clone(), record.clone())));
        Ok(confirmed)
    }
}

/// How far the bucket was acted on. A marker counts also where there was nothing to remove: what it removed must not be
/// taken for new when a backup brings it back.
fn acted(followed: &mut Followed, entries: &[Entry], judged: &Judged) {
    let markers = entries.iter().filter(|entry| entry.operation == Operation::Removed);
    let writes = judged.records.iter().map(|record| record.written_at);
    writes.chain(markers.map(|entry| entry.written_at)).for_each(|at| followed.acted(at));
}
