//! Files of tickets: what is exported to one, and what is imported from one. Both are operations that go on where they stopped, and hold a
//! batch in memory and no more.

pub mod column;
pub mod export;
pub mod import;
mod lines;
pub(crate) mod part;
mod row;

pub use column::ExportColumn;
pub use export::{EXPORT, ExportFormat, ExportTickets, Exported, ExportedFile};
pub use import::{IMPORT, ImportTickets, Imported};
pub use lines::MAX_LINE;
