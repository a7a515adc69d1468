//! The ideal run: when is each event of a program due?

pub use crate::model::ideal;
