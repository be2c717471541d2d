//! Answers given lately: a command acts at most once per id.
use crate::domain::time::Moment;
use crate::messages::command_server::Answer;
use bytes::Bytes;
use fleet_contracts::commands::Verb;
use std::collections::HashMap;
use std::time::Duration;

/// How long an id is remembered.
const KEPT: Duration = Duration::from_secs(600);
/// Ids remembered at once; with more, the oldest is forgotten first.
const CAP: usize = 256;

#[derive(Default)]
pub struct Answers {
    entries: HashMap<String, Entry>,
}

struct Entry {
    at: Moment,
    verb: Verb,
    body: Bytes,
    answer: Option<Answer>,
}

/// What is known of a command id.
#[derive(Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: from now on it is being carried out.
    None,
    Working,
    Answered(Answer),
    /// It was used with another verb or body.
    Other,
}

impl Answers {
    pub fn earlier(&mut self, id: Option<&str>, verb: Verb, body: &Bytes, now: Moment) -> Earlier {
        let Some(id) = id else { return Earlier::None };
        self.entries.retain(|_, entry| now.since(entry.at) < KEPT);
        if let Some(entry) = self.entries.get(id) {
            return match &entry.answer {
                _ if entry.verb != verb || entry.body != *body => Earlier::Other,
                Some(answer) => Earlier::Answered(answer.clone()),
                None => Earlier::Working,
            };
        }
        if self.entries.len() >= CAP {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.at).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.entries.remove(&id));
        }
        self.entries.insert(id.to_owned(), Entry { at: now, verb, body: body.clone(), answer: None });
        Earlier::None
    }

    pub fn answered(&mut self, id: &str, answer: Answer) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.answer = Some(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> Answer {
        Answer { body: Bytes::from_static(text.as_bytes()), error: None }
    }

    #[test]
    fn a_command_id_acts_once_and_gets_its_first_answer_again() {
        let (mut answers, now, body) = (Answers::default(), Moment::default(), Bytes::from_static(b"{}"));
        assert_eq!(answers.earlier(Some("x"), Verb::Confirm, &body, now), Earlier::None);
        assert_eq!(answers.earlier(Some("x"), Verb::Confirm, &body, now), Earlier::Working);
        answers.answered("x", answer("done"));
        assert_eq!(answers.earlier(Some("x"), Verb::Confirm, &body, now), Earlier::Answered(answer("done")));
        assert_eq!(answers.earlier(Some("x"), Verb::Ping, &body, now), Earlier::Other);
        let later = now + KEPT;
        assert_eq!(answers.earlier(Some("x"), Verb::Ping, &body, later), Earlier::None);
    }

    #[test]
    fn commands_without_an_id_are_never_the_same() {
        let (mut answers, body) = (Answers::default(), Bytes::new());
        for _ in 0..2 {
            assert_eq!(answers.earlier(None, Verb::Ping, &body, Moment::default()), Earlier::None);
        }
    }

    #[test]
    fn the_memory_of_ids_is_bounded_and_forgets_the_oldest() {
        let (mut answers, body) = (Answers::default(), Bytes::new());
        for n in 0..=CAP {
            let at = Moment::default() + Duration::from_millis(n as u64);
            answers.earlier(Some(&n.to_string()), Verb::Ping, &body, at);
        }
        assert_eq!(answers.entries.len(), CAP);
        assert!(!answers.entries.contains_key("0"));
    }
}
