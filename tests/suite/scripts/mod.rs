//! Each script on a real Redis: the rows of its transition table as tests, repeats, batches with a
//! fault in the middle, a full Redis; and the rules that all of `lua/` keeps.

mod batches;
mod calls;
mod claims;
mod end_workflow;
mod endings;
mod flash;
mod lint;
mod memory;
mod prepare;
mod promote;
mod queries;
mod records;
mod registered;
mod resets;
mod rig;
mod sales;
mod stops;
mod submit;
mod topics;
mod transaction;
mod undone;
