//! Images that the agent brought here: what is noted of them, and the removal of those that nobody needs any more.
use super::*;
use crate::domain::images::{Arrival, Note};
use crate::domain::memory::BELIEVED_AFTER;
use crate::domain::time::Moment;
use crate::messages::deployments::ImageNews;
use crate::messages::effects::Removed;
use crate::messages::observer::Inventory;
use fleet_contracts::ServiceName;

/// A deployment runs well when it has for so long: one that ends at once is seen running too.
const SETTLED_FOR: Duration = BELIEVED_AFTER;
/// For a list, or for a removal name by name, each of which has its own deadline. An answer that does not come is not
/// waited for: the next look finds out what is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);
/// Podman's list fails as a whole when an image goes while it is made, and for ever when its storage is damaged. Where
/// a removal finds no turn, podman has other things to do.
const AFTER_FAILURE: Duration = Duration::from_secs(300);
const TIMER: &str = "images";

#[derive(Default)]
pub struct Images {
    note: Note,
    settled: BTreeMap<DeploymentName, Settled>,
    /// The names in documents, while somebody looks what is there.
    asked: Option<BTreeSet<String>>,
    /// Could not be removed since something changed: the others have their turn.
    kept: BTreeSet<String>,
}

/// A deployment that runs well, with these images.
struct Settled {
    since: Moment,
    images: BTreeMap<ServiceName, String>,
}

impl Images {
    /// What was noted by the process before this one.
    pub fn begin(&mut self, note: Note) {
        self.note = note;
    }
}

impl Deployments {
    pub(super) fn on_images(&mut self, news: ImageNews, ctx: &mut Context<Message>) {
        match news {
            ImageNews::Due => self.on_images_due(ctx),
            ImageNews::Listed(inventory) => self.on_images_listed(inventory, ctx),
            ImageNews::Removed(id, removed) => self.on_image_removed(id, removed, ctx),
        }
    }

    fn on_image_removed(&mut self, id: String, removed: Removed, ctx: &mut Context<Message>) {
        match removed {
            Removed::Gone => self.note_images(|note| note.forget(|gone| gone == id)),
            Removed::Kept => drop(self.images.kept.insert(id)),
            Removed::NotBegun => return look_after(AFTER_FAILURE, ctx),
        }
        // For the next one: each is decided by what is there when its turn comes.
        self.on_images_due(ctx);
    }

    /// The ledger is read. What was forgotten of a deployment in the end may not have been noted here.
    pub(super) fn on_images_known(&mut self, ctx: &mut Context<Message>) {
        let Some(book) = self.book.as_ref().filter(|_| self.reasons.lost.is_empty()) else { return };
        let known = book.names();
        let brought = self.images.note.brought.iter().flat_map(|brought| &brought.deployments);
        let noted = brought.chain(self.images.note.used.keys().map(|(name, _)| name));
        let gone: BTreeSet<DeploymentName> = noted.filter(|name| !known.contains(*name)).cloned().collect();
        self.note_images(|note| gone.iter().for_each(|name| note.gone(name)));
        if !self.images.note.brought.is_empty() {
            look_later(ctx);
        }
    }

    pub(super) fn on_brought(&mut self, name: &DeploymentName, arrival: Arrival) {
        self.note_images(|note| note.arrived(name, arrival));
    }

    /// Nothing of this deployment is left.
    pub(super) fn on_images_of_nobody(&mut self, name: &DeploymentName, ctx: &mut Context<Message>) {
        self.images.settled.remove(name);
        self.note_images(|note| note.gone(name));
        look_later(ctx);
    }

    /// It said how it stands.
    pub(super) fn on_images_in_use(&mut self, name: &DeploymentName, ctx: &mut Context<Message>) {
        let Some(images) = self.book.as_ref().and_then(|book| book.settled(name)) else {
            self.images.settled.remove(name);
            return;
        };
        if self.images.settled.get(name).is_none_or(|settled| settled.images != images) {
            let since = self.args.clock.now();
            self.images.settled.insert(name.clone(), Settled { since, images });
            look_later(ctx);
        }
    }

    fn on_images_due(&mut self, ctx: &mut Context<Message>) {
        let now = self.args.clock.now();
        let is_old = |settled: &Settled| now.since(settled.since) >= SETTLED_FOR;
        let young = self.images.settled.values().filter(|settled| !is_old(settled));
        if let Some(first) = young.map(|settled| settled.since).min() {
            let left = (first + SETTLED_FOR).since(now);
            ctx.after(TIMER, left, Message::Images(ImageNews::Due));
        }
        let mut note = self.images.note.clone();
        for (name, settled) in self.images.settled.iter().filter(|(_, settled)| is_old(settled)) {
            note.settled(name, &settled.images);
        }
        self.note_images(|noted| *noted = note);
        let Some(named) = self.named_images().filter(|_| !self.spare_images().is_empty()) else {
            return self.images.kept.clear();
        };
        if self.images.asked.is_some() {
            return;
        }
        self.images.asked = Some(named.clone());
        let observer = self.args.observer.clone();
        ctx.background(async move {
            let listed = observer.ask(|reply| Observer::Images(named, reply), ANSWER_WITHIN).await;
            Message::Images(ImageNews::Listed(listed.ok().and_then(Result::ok)))
        });
    }

    fn on_images_listed(&mut self, inventory: Option<Inventory>, ctx: &mut Context<Message>) {
        let asked = self.images.asked.take();
        let (Some(Inventory { images, named }), Some(asked)) = (inventory, asked) else {
            return look_after(AFTER_FAILURE, ctx);
        };
        let is_there = |id: &str| images.iter().any(|image| image.id == id);
        self.note_images(|note| note.forget(|id| !is_there(id)));
        // A document that came meanwhile may name one by a name that nobody looked up.
        if self.named_images().is_none_or(|names| !names.is_subset(&asked)) {
            return look_later(ctx);
        }
        let removals = self.images.note.removable(&self.spare_images(), &images, &named);
        let next = removals.into_iter().find(|removal| !self.images.kept.contains(&removal.id));
        let Some(removal) = next else { return self.images.kept.clear() };
        let (effects, id) = (self.args.effects.clone(), removal.id.clone());
        ctx.background(async move {
            let removed = effects.ask(|reply| Effects::RemoveImage(removal, reply), ANSWER_WITHIN).await;
            Message::Images(ImageNews::Removed(id, removed.unwrap_or(Removed::NotBegun)))
        });
    }

    /// Those that no service needs, of deployments that all run well, or are gone.
    fn spare_images(&self) -> BTreeSet<String> {
        let now = self.args.clock.now();
        let known = self.book.as_ref().map(Book::names).unwrap_or_default();
        self.images.note.spare(|name| match self.images.settled.get(name) {
            Some(settled) => now.since(settled.since) >= SETTLED_FOR,
            None => !known.contains(name),
        })
    }

    /// What accepted documents name; None while that is not known of every one.
    fn named_images(&self) -> Option<BTreeSet<String>> {
        self.book.as_ref().filter(|_| self.reasons.lost.is_empty())?.named_images()
    }

    /// Changes the note, which is written when that made a difference.
    fn note_images(&mut self, change: impl FnOnce(&mut Note)) {
        let before = self.images.note.clone();
        change(&mut self.images.note);
        if self.images.note != before {
            self.writes.push(Write::Images(self.images.note.clone()));
        }
    }
}

fn look_later(ctx: &mut Context<Message>) {
    look_after(SETTLED_FOR, ctx);
}

/// Sooner when that was asked for already.
fn look_after(wait: Duration, ctx: &mut Context<Message>) {
    if !ctx.has_timer(TIMER) {
        ctx.after(TIMER, wait, Message::Images(ImageNews::Due));
    }
}
