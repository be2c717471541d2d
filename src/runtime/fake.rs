//! A runtime for tests.
