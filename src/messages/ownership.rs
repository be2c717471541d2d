//! To `ownership`.
pub enum Ownership {
    CheckDue,
    Checked(bool),
}
