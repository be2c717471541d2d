use super::*;

fn web() -> DeploymentName {
    "web".parse().unwrap()
}

fn listed(id: &str, names: &[&str]) -> Image {
    Image { id: id.into(), names: names.iter().map(|name| (*name).into()).collect(), is_used: false }
}

/// Pulls `to` where `there` was before.
fn pull(note: &mut Note, for_whom: &str, there: &[Image], to: &Image) {
    let mut after: Vec<Image> = there.iter().filter(|image| image.id != to.id).cloned().collect();
    after.push(to.clone());
    note.arrived(&for_whom.parse().unwrap(), Arrival::between(there, &after, to.id.clone()));
}

fn runs(note: &mut Note, deployment: &str, id: &str) {
    let images = BTreeMap::from([("a".parse().unwrap(), id.to_owned())]);
    note.settled(&deployment.parse().unwrap(), &images);
}

fn spare(note: &Note) -> Vec<String> {
    note.spare(|_| true).into_iter().collect()
}

/// What would go of these, when documents name those.
fn going(note: &Note, there: &[Image], named: &[&str]) -> Vec<String> {
    let named = named.iter().map(|id| (*id).to_owned()).collect();
    let removals = note.removable(&note.spare(|_| true), there, &named);
    removals.into_iter().map(|removal| removal.id).collect()
}

#[test]
fn the_former_image_of_a_service_is_kept_for_one_update() {
    let mut note = Note::default();
    let images: Vec<Image> = (1..=3).map(|n| listed(&format!("v{n}"), &[&format!("web:{n}")])).collect();
    for n in 0..3 {
        pull(&mut note, "web", &images[..n], &images[n]);
        assert_eq!(note.spare(|name| *name != web()), BTreeSet::new(), "it is on its way");
        runs(&mut note, "web", &images[n].id);
        let expected: &[&str] = if n == 2 { &["v1"] } else { &[] };
        assert_eq!(spare(&note), expected);
    }
    assert_eq!(going(&note, &images, &["v3"]), ["v1"]);
}

#[test]
fn an_image_that_never_ran_well_goes_when_its_successor_does() {
    let mut note = Note::default();
    let (v1, bad, v3) = (listed("v1", &["w:1"]), listed("bad", &["w:2"]), listed("v3", &["w:3"]));
    pull(&mut note, "web", &[], &v1);
    runs(&mut note, "web", "v1");
    pull(&mut note, "web", std::slice::from_ref(&v1), &bad);
    pull(&mut note, "web", &[v1.clone(), bad.clone()], &v3);
    runs(&mut note, "web", "v3");
    assert_eq!(going(&note, &[v1, bad, v3], &["v3"]), ["bad"]);
}

#[test]
fn what_was_there_before_is_never_removed() {
    let mut note = Note::default();
    let theirs = listed("x", &["theirs:1"]);
    // By another name, and by the same.
    pull(&mut note, "web", &[theirs], &listed("x", &["theirs:1", "ours:1"]));
    runs(&mut note, "web", "x");
    note.gone(&web());
    assert_eq!(note, Note::default());
}

#[test]
fn what_somebody_removed_and_brought_back_is_theirs() {
    let mut note = Note::default();
    let (x, y) = (listed("x", &["w:1"]), listed("y", &["w:2"]));
    pull(&mut note, "web", &[], &x);
    // Removed by hand, which the next pull sees.
    pull(&mut note, "web", &[], &y);
    runs(&mut note, "web", "y");
    assert_eq!(going(&note, &[x, y], &["y"]), Vec::<String>::new());
}

#[test]
fn a_pull_that_ends_while_another_one_goes_on_stays_noted() {
    let mut note = Note::default();
    let (slow, quick) = (listed("slow", &["w:1"]), listed("quick", &["d:1"]));
    pull(&mut note, "db", &[], &quick);
    // It began before that one was there.
    let both = [quick.clone(), slow.clone()];
    note.arrived(&web(), Arrival::between(&[], &both, slow.id.clone()));
    runs(&mut note, "web", "slow");
    runs(&mut note, "db", "quick");
    note.gone(&web());
    note.gone(&"db".parse().unwrap());
    assert_eq!(going(&note, &both, &[]), ["quick", "slow"]);
}

#[test]
fn an_image_that_is_used_named_or_named_by_somebody_stays() {
    let mut note = Note::default();
    let image = listed("x", &["w:1"]);
    pull(&mut note, "web", &[], &image);
    note.gone(&web());
    assert_eq!(going(&note, std::slice::from_ref(&image), &[]), ["x"]);
    assert_eq!(going(&note, &[Image { is_used: true, ..image.clone() }], &[]), Vec::<String>::new());
    assert_eq!(going(&note, &[listed("x", &["w:1", "mine:1"])], &[]), Vec::<String>::new());
    assert_eq!(going(&note, &[image], &["x"]), Vec::<String>::new(), "by whatever reference");
    // A tag that moved on to another image leaves it without a name.
    assert_eq!(going(&note, &[listed("x", &[])], &[]), ["x"]);
}

#[test]
fn an_image_of_two_deployments_goes_with_the_last() {
    let mut note = Note::default();
    let image = listed("x", &["w:1"]);
    pull(&mut note, "web", &[], &image);
    pull(&mut note, "db", std::slice::from_ref(&image), &image);
    runs(&mut note, "web", "x");
    runs(&mut note, "db", "x");
    note.gone(&web());
    assert_eq!(spare(&note), Vec::<String>::new());
    note.gone(&"db".parse().unwrap());
    assert_eq!(spare(&note), ["x"]);
    note.forget(|id| id == "x");
    assert_eq!(note, Note::default());
}

#[test]
fn a_dropped_service_keeps_no_image() {
    let mut note = Note::default();
    pull(&mut note, "web", &[], &listed("x", &["w:1"]));
    runs(&mut note, "web", "x");
    note.settled(&web(), &BTreeMap::new());
    assert_eq!(spare(&note), ["x"]);
}

#[test]
fn the_note_does_not_grow_without_end() {
    let mut note = Note::default();
    let mut there = Vec::new();
    for n in 0..2 * MAX_IMAGES {
        let image = listed(&format!("i{n}"), &[]);
        pull(&mut note, "web", &there, &image);
        there.push(image);
    }
    assert_eq!(note.brought.len(), MAX_IMAGES);
    assert_eq!(note.brought.last().map(|brought| brought.id.as_str()), Some("i511"));
    for n in 0..2 * MAX_SERVICES {
        runs(&mut note, &format!("d{n}"), "i511");
    }
    assert_eq!(note.used.len(), MAX_SERVICES);
}
