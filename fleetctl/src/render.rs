//! What people see. Pure: from documents, and how old they are, to text.
pub mod actors;
pub mod age;
pub mod devices;
pub mod progress;
pub mod status;
pub mod table;

/// A device's words without what would move the cursor of the terminal they are shown on.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
