//! To `ownership`.
#[derive(strum::IntoStaticStr)]
pub enum Ownership {
    CheckDue,
    Checked(bool),
}
