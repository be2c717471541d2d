//! What supervision promises. Time is paused: waits pass at once.
mod board;
mod context;
mod keyed;
mod pure;
mod random;
mod restart;
mod stop;
mod stuck;
mod toy;
